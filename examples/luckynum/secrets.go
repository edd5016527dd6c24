package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/mac"
	"github.com/countersign-go/countersign/portal"
	"github.com/countersign-go/countersign/provision"
)

const passwordVariable = "LUCKYNUM_PASSWORD"

// password returns the password: the first line of a file or of standard input, or the environment
// variable.
func (p *program) password(file string) (creds.Secret, error) {
	var text string
	var err error
	switch file {
	case "":
		text = p.getenv(passwordVariable)
	case "-":
		text, err = bufio.NewReader(p.stdin).ReadString('\n')
	default:
		var data []byte
		data, err = readPrivate(file)
		text = string(data)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	text, _, _ = strings.Cut(text, "\n")
	text = strings.TrimSuffix(text, "\r")
	switch {
	case text != "":
		return creds.Secret(text), nil
	case file == "":
		return nil, usageError("no password: set " + passwordVariable + ", or name a file with it")
	}
	return nil, errors.New("the password is empty: write it into the first line")
}

// users returns the users that may ask for a key.
func (p *program) users(file string) (portal.Memory, error) {
	if file == "" {
		password, err := p.password("")
		return portal.Memory{"demo": password}, err
	}
	data, err := readPrivate(file)
	if err != nil {
		return nil, err
	}
	users := portal.Memory{}
	number := 0
	for line := range strings.Lines(string(data)) {
		number++
		line = strings.TrimRight(line, "\r\n")
		if line == "" {
			continue
		}
		name, password, _ := strings.Cut(line, ":")
		if name == "" || password == "" || users[name] != nil {
			// The error must not quote the line, which holds a password.
			return nil, fmt.Errorf("%s, line %d: write name:password, each name once", file, number)
		}
		users[name] = creds.Secret(password)
	}
	if len(users) == 0 {
		return nil, fmt.Errorf("%s: has no user: write name:password on a line", file)
	}
	return users, nil
}

// readCredentials reads a file of writeCredentials.
func readCredentials(file string) (*mac.Credentials, error) {
	data, err := readPrivate(file)
	if err != nil {
		return nil, err
	}
	m, err := provision.Unmarshal(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if !m.Expires.IsZero() && !time.Now().Before(m.Expires) {
		return nil, fmt.Errorf("%s: the key has ended: delete the file to get a new one", file)
	}
	return m, nil
}

// writeCredentials makes a new file that no other user can read at any time.
func writeCredentials(file string, m *mac.Credentials) error {
	data, err := provision.Marshal(m)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(append(data, '\n'))
	if closing := f.Close(); err == nil {
		err = closing
	}
	if err != nil {
		_ = os.Remove(file) // a part of it is useless
	}
	return err
}

// readPrivate reads a small file. It returns an error if other users can read it too.
func readPrivate(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	// Windows does not have these permissions: there, Go shows the same ones for every file.
	if info.Mode().Perm()&0o077 != 0 && runtime.GOOS != "windows" {
		return nil, fmt.Errorf("%s: others can read it: chmod 600 it", file)
	}
	return io.ReadAll(f)
}
