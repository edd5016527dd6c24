package portal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"reflect"
	"runtime"
	"strings"

	"github.com/countersign-go/countersign/creds"
)

// builtin returns the types of this package.
func builtin() []Type {
	password := []reflect.Type{reflect.TypeFor[Password]()}
	return []Type{{
		Word:  "anonymous",
		Help:  "Lets everybody in who does not say who they are.",
		Kinds: AllowAnonymous{}.Kinds(),
		New:   func(string) (Checker, error) { return AllowAnonymous{}, nil },
	}, {
		Word:     "file",
		Argument: "PATH of a file with name:hash on each line",
		Help: `Reads the names and the hashes of passwords from a file, again whenever it
has changed. A hash is bcrypt, yescrypt, Argon2id, PBKDF2 or SHA-crypt; this
makes a line of the user ann:

  htpasswd -nB -C 12 ann

Lines that begin with # are comments.`,
		Kinds: password,
		New:   newFile,
	}, {
		Word:     "memory",
		Argument: "NAME:PASSWORD:..., or @PATH of a file of NAME:PASSWORD lines",
		Help: `Has the names and the passwords in memory. Everybody on this machine can see
a command line, so the first form is for trying things out, and a password
in it cannot hold a colon. A file with passwords must be readable by its
owner alone, as after chmod 600, and is read once, at the start. A password
in it goes to the end of the line, without blanks at the end.`,
		Kinds: Memory(nil).Kinds(),
		New:   newMemory,
	}, {
		Word:     "unix",
		Argument: "PATH of a helper program; pwauth if there is none",
		Help: `Lets in the users of this machine, as PAM judges them. The program does not
run as root and does not read their passwords: it hands a name and a
password to a helper, one line each on its standard input, and the exit
status says whether they are right. The package pwauth of Debian has one:

  apt-get install pwauth`,
		Kinds: password,
		New:   newUnix,
	}}
}

func newFile(path string) (Checker, error) {
	if strings.TrimSpace(path) == "" {
		return nil, errors.New("name the file, as in --auth file:users.txt")
	}
	f := &File{Path: path}
	err := f.Load()
	if errors.Is(err, errClear) {
		err = fmt.Errorf("%w; for passwords in clear, write --auth memory:@%s", err, path)
	}
	return f, err
}

// newUnix also looks for pwauth in the places where Debian installs it, as the PATH of a service
// may be short.
func newUnix(path string) (Checker, error) {
	if path != "" {
		c := &Command{Path: path}
		return c, c.Load()
	}
	for _, path := range []string{"pwauth", "/usr/sbin/pwauth", "/usr/local/sbin/pwauth"} {
		if found, err := exec.LookPath(path); err == nil {
			c := &Command{Path: found}
			return c, c.Load()
		}
	}
	return nil, errors.New("pwauth is not installed: install it, or name another helper, " +
		"as in --auth unix:PATH")
}

var errUsers = errors.New("write NAME:PASSWORD:NAME:PASSWORD..., with each name once, " +
	"or @PATH of a file")

func newMemory(argument string) (Checker, error) {
	users := Memory{}
	if argument == "" {
		return users, nil
	}
	if path, ok := strings.CutPrefix(argument, "@"); ok {
		return users, users.read(path)
	}
	words := strings.Split(argument, ":")
	if len(words)%2 != 0 {
		return nil, errUsers
	}
	for i := 0; i < len(words); i += 2 {
		if !users.add(words[i], words[i+1]) {
			return nil, errUsers
		}
	}
	return users, nil
}

// add reports whether it added the user. It refuses a name that is taken, and a name or password
// that is not allowed.
func (m Memory) add(user, password string) bool {
	if m[user] != nil || !isName(user) || password == "" || len(password) > maxPassword {
		return false
	}
	m[user] = creds.Secret(password)
	return true
}

// read adds the users of a file.
func (m Memory) read(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() || info.Size() > maxFile {
		return fmt.Errorf("%s: not a regular file, or over %d bytes", path, maxFile)
	}
	if isShared(info) {
		return fmt.Errorf("%s: others can read the passwords in it: chmod 600 it", path)
	}
	file, err := os.Open(path) //nolint:gosec // whoever starts the program names it
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // it was only read
	var bad error
	fault := func(number int, err error) {
		if bad == nil {
			bad = fmt.Errorf("%s, line %d: %w", path, number, err)
		}
	}
	layout := layout{delimiter: ":", password: 1, rest: true}
	each := func(l line) {
		if !m.add(l.user, l.password) {
			fault(l.number, errors.New("write name:password, each name once"))
		}
	}
	if err := layout.readLines(file, each, fault); err != nil {
		return err
	}
	return bad
}

// isShared reports whether users other than the owner can read the file or write to it.
func isShared(info fs.FileInfo) bool { return permits(info, 0o077) }

// permits reports whether any of the permissions is set. On Windows it reports false: Windows does
// not have such permissions, and Go shows the same ones for every file.
func permits(info fs.FileInfo, bits fs.FileMode) bool {
	return info.Mode().Perm()&bits != 0 && runtime.GOOS != "windows"
}
