package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/countersign-go/countersign/portal"
)

// bcryptOfPass is the hash of the password "pass", with the lowest cost.
const bcryptOfPass = "$2b$04$2EkpGaHTbi5nbd9InpMn8uGTHemyrHulKW9duHAVJBkvDYKv/pzSe"

func writeFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "users")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// start runs the program on any port. It returns its address, and a function that stops it.
func start(t *testing.T, types []portal.Type, args ...string) (
	address string, stop func() (status int, log string)) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	out, in := io.Pipe()
	var log lockedBuffer
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, append(args, "--port", "0"), in, &log, types...)
		in.Close()
	}()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("%v: %s", err, log.String())
	}
	return regexp.MustCompile(`127\.0\.0\.1:\d+`).FindString(line), sync.OnceValues(
		func() (int, string) {
			cancel()
			return <-ended, log.String()
		})
}

// talk plays a transcript: lines that begin with "> " are sent, and the others are answers. It ends
// with "closed" if the server closes the connection.
func talk(t *testing.T, address string, transcript ...string) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	lines := bufio.NewReader(conn)
	for _, line := range transcript {
		if text, ok := strings.CutPrefix(line, "> "); ok {
			if _, err := io.WriteString(conn, text+"\r\n"); err != nil {
				t.Errorf("%s: %v", line, err)
			}
			continue
		}
		got, err := lines.ReadString('\n')
		if line == "closed" {
			if got != "" || !errors.Is(err, io.EOF) {
				t.Errorf("%q, %v; want the end", got, err)
			}
			continue
		}
		if got != line+"\r\n" {
			t.Errorf("%q, %v; want %q", got, err, line)
		}
	}
}

const (
	welcome = "Login successful, please proceed."
	denied  = "Login denied, goodbye."
)

// The transcripts of chapter 9 of the book on Twisted work with every place for passwords.
func TestTranscript(t *testing.T) {
	own := portal.Type{
		Word: "own", Help: "Lets one user in.",
		Kinds: []reflect.Type{reflect.TypeFor[portal.Password]()},
		New: func(string) (portal.Checker, error) {
			return portal.Memory{"user": []byte("pass")}, nil
		},
	}
	for _, auth := range []string{
		"memory:user:pass:foo:baz",
		"memory:@" + writeFile(t, "user:pass\nfoo:baz\n"),
		"file:" + writeFile(t, "user:"+bcryptOfPass+"\n"),
		"own",
	} {
		address, stop := start(t, []portal.Type{own}, "--auth", auth)
		talk(t, address, "> user pass", welcome, "> Hi", "Hi", "> Quit", "Quit")
		talk(t, address, "> foo bar", denied, "closed")
		for _, line := range []string{"", "user", "user ", " pass", "user pass ", "user  pass"} {
			talk(t, address, "> "+line, denied, "closed")
		}
		status, log := stop()
		if status != 0 {
			t.Errorf("%s: status %d, %s", auth, status, log)
		}
		if strings.Count(log, "msg=gone") != 1 || strings.Contains(log, "pass ") {
			t.Errorf("the log is %s", log)
		}
	}
}

func TestSeveralCheckers(t *testing.T) {
	address, stop := start(t, nil, "--auth", "memory:a:b", "--auth", "memory:c:d")
	defer stop()
	talk(t, address, "> a b", welcome, "> x", "x")
	talk(t, address, "> c d", welcome, "> x", "x")
	talk(t, address, "> a d", denied, "closed")
}

// A file that becomes unreadable is not reported as a wrong password.
func TestCannotDecide(t *testing.T) {
	path := writeFile(t, "user:"+bcryptOfPass+"\n")
	address, stop := start(t, nil, "--auth", "file:"+path)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	talk(t, address, "> user pass", denied, "closed")
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	talk(t, address, "> user pass", "Logins are not possible now, try again later.", "closed")
	if status, log := stop(); status != 0 || !strings.Contains(log, "not a regular file") ||
		!strings.Contains(log, "no such file") {
		t.Errorf("status %d, %s", status, log)
	}
}

// One address is allowed a number of logins, and then none for a while.
func TestGuesses_S12(t *testing.T) {
	address, stop := start(t, nil, "--auth", "memory:user:pass")
	defer stop()
	for range loginBurst {
		talk(t, address, "> user guess", denied, "closed")
	}
	talk(t, address, "> user pass",
		"Goodbye: too many logins from your address, try again later.", "closed")
}

func TestLongLine(t *testing.T) {
	address, stop := start(t, nil, "--auth", "memory:user:pass")
	defer stop()
	long := strings.Repeat("x", maxLine-2)
	talk(t, address, "> user pass", welcome, "> "+long, long)
	talk(t, address, "> user pass", welcome, "> "+long, long, "> "+long, long)
	talk(t, address, "> "+long+"xx", "Goodbye: the line is too long.")
}

// When the server stops, it tells each client, and the sessions end.
func TestStop(t *testing.T) {
	address, stop := start(t, nil, "--auth", "memory:user:pass")
	var conns []net.Conn
	for _, line := range []string{"user pass\n", ""} {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, line); err != nil {
			t.Fatal(err)
		}
		conns = append(conns, conn)
	}
	if line, err := bufio.NewReader(conns[0]).ReadString('\n'); line != welcome+"\r\n" {
		t.Fatal(line, err)
	}
	if status, log := stop(); status != 0 || !strings.Contains(log, "msg=gone") {
		t.Errorf("status %d, %s", status, log)
	}
	rest, _ := io.ReadAll(conns[0])
	if string(rest) != "Goodbye: the server stops.\r\n" {
		t.Errorf("the last words are %q", rest)
	}
	if conn, err := net.Dial("tcp", address); err == nil {
		conn.Close()
		t.Error("it listens on")
	}
}

func TestWrongUsage(t *testing.T) {
	dir := t.TempDir()
	for _, tt := range []struct {
		reason string
		args   []string
		text   string
	}{
		{"nobody", nil, "no user can log in"},
		{"nobody in memory", []string{"--auth", "memory"}, "NAME:PASSWORD"},
		{"no such type", []string{"--auth", "ldap:canary-h0st"}, "not recognized"},
		{"a type that does not fit", []string{"--auth", "anonymous"}, "not supported"},
		{"no such type to explain", []string{"--help-auth-type", "nope"}, "not recognized"},
		{"no file", []string{"--auth", "file:" + dir + "/none"}, "no such file"},
		{"no file for memory", []string{"--auth", "memory:@" + dir + "/none"}, "no such file"},
		{"a bad line", []string{"--auth", "file:" + writeFile(t, "\nann:canary-c1ear")}, "line 2"},
		{"a line without a password", []string{"--auth", "file:" + writeFile(t, "ann")}, "line 1"},
		{"an odd number", []string{"--auth", "memory:ann:canary-0ne:bob"}, "NAME:PASSWORD"},
		{"no such flag", []string{"--password", "canary-0ne"}, "-password"},
		{"no port", []string{"--port", "http"}, "-port"},
		{"an argument", []string{"--auth", "memory:a:b", "canary-0ne"}, "only flags"},
	} {
		var stdout, stderr bytes.Buffer
		status := run(t.Context(), tt.args, &stdout, &stderr)
		line, rest, _ := strings.Cut(stderr.String(), "\n")
		if status != 2 || stdout.Len() > 0 || rest != "See echo --help.\n" ||
			!strings.HasPrefix(line, "echo: ") || !strings.Contains(line, tt.text) ||
			strings.Contains(line, "canary-") {
			t.Errorf("%s: status %d; want one line with %q and where to read more", tt.reason,
				status, tt.text)
		}
	}
}

func TestHelp(t *testing.T) {
	for _, tt := range []struct{ arg, text string }{
		{"-h", usage}, {"--help", usage}, {"--help", "\n  > demo secret\n"},
		{"--help-auth", "\n  memory "},
		{"--help-auth-type=file", "htpasswd"},
	} {
		var stdout, stderr bytes.Buffer
		status := run(t.Context(), []string{tt.arg}, &stdout, &stderr)
		if status != 0 || stderr.Len() > 0 || !strings.Contains(stdout.String(), tt.text) ||
			strings.Contains(stdout.String(), "\n  anonymous") {
			t.Errorf("%s: status %d, %s%s", tt.arg, status, &stdout, &stderr)
		}
	}
	for line := range strings.Lines(usage) {
		if utf8.RuneCountInString(line) > 81 {
			t.Errorf("too wide for a terminal: %s", line)
		}
	}
}

func TestPortTaken(t *testing.T) {
	address, stop := start(t, nil, "--auth", "memory:user:pass")
	defer stop()
	_, port, _ := net.SplitHostPort(address)
	var stderr bytes.Buffer
	args := []string{"--auth", "memory:a:b", "--port", port}
	status := run(t.Context(), args, io.Discard, &stderr)
	if status != 1 || !strings.Contains(stderr.String(), "another --port") {
		t.Errorf("status %d, %s", status, &stderr)
	}
}

// A lockedBuffer is a buffer for a server's goroutines.
type lockedBuffer struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
