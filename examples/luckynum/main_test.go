package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"
)

func TestHelp(t *testing.T) {
	for _, args := range [][]string{
		{"help"}, {"-h"}, {"--help"}, {"serve", "-h"}, {"get", "--help"}, {"list", "-h"},
		{"revoke", "--help"},
	} {
		r := new(machine).run(t, args...)
		if r.status != 0 || r.stdout != usage || r.stderr != "" {
			t.Errorf("%s: status %d, %q, %q", args, r.status, r.stdout, r.stderr)
		}
	}
	for line := range strings.Lines(usage) {
		if utf8.RuneCountInString(line) > 81 {
			t.Errorf("too wide for a terminal: %s", line)
		}
	}
}

func TestWrongUsage(t *testing.T) {
	set := map[string]string{passwordVariable: demoPassword}
	for _, tt := range []struct {
		reason  string
		environ map[string]string
		args    []string
		text    string
	}{
		{"no such command", nil, []string{"canary-11aa"}, "no such command"},
		{"no such flag", nil, []string{"get", "--password", "canary-22bb"}, "-password"},
		{"a flag where the command belongs", nil, []string{"--history"}, "no such command"},
		{"a flag behind the URL", set, []string{"get", at, "--history"}, "before the URL"},
		{"no number", set, []string{"get", "-n", "many"}, "-n"},
		{"none at all", set, []string{"get", "-n", "0"}, "-n"},
		{"no password", nil, []string{"get"}, passwordVariable},
		{"no URL", set, []string{"get", "127.0.0.1:8080"}, "a URL is like"},
		{"a password in it", set, []string{"get", "http://u:canary-33cc@127.1"}, "without user"},
		{"not parsable", set, []string{"get", "http://demo:canary-44dd@%"}, "without user"},
		{"another scheme", set, []string{"get", "ftp://127.0.0.1"}, "a URL is like"},
		{"an argument of serve", set, []string{"serve", "canary-55ee"}, "too many arguments"},
		{"no time to live", set, []string{"serve", "--lifetime", "10ms"}, "--lifetime"},
		{"no public place", set, []string{"serve", "--public-url", "x"}, "a URL is like"},
		{"nobody may ask", nil, []string{"serve"}, passwordVariable},
		{"nothing to store", set, []string{"serve", "--store", "x"}, "--registry"},
		{"a negative time to live", set, []string{"serve", "--lifetime", "-1s"}, "--lifetime"},
		{"no time to live, with registry", set, []string{"serve", "--registry", "--lifetime=0s"},
			"--lifetime"},
		{"no password to list with", nil, []string{"list"}, passwordVariable},
		{"no ID", set, []string{"revoke"}, "luckynum list shows"},
		{"an empty ID", set, []string{"revoke", ""}, "luckynum list shows"},
		{"an ID where the URL belongs", set, []string{"revoke", "x", "y"}, "a URL is like"},
		{"too many IDs", set, []string{"revoke", "x", at, "y"}, "too many arguments"},
	} {
		m := machine{environ: tt.environ, config: t.TempDir()}
		r := m.run(t, tt.args...)
		line, rest, _ := strings.Cut(r.stderr, "\n")
		if r.status != 2 || r.stdout != "" || rest != "See luckynum help.\n" ||
			!strings.HasPrefix(line, "luckynum: ") || !strings.Contains(line, tt.text) {
			t.Errorf("%s: status %d, %q, %q; want one line with %q and where to read more",
				tt.reason, r.status, r.stdout, r.stderr, tt.text)
		}
	}
}

// The usage explains every flag that is defined, and no other.
func TestUsageHasAllFlags(t *testing.T) {
	explained := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^  --?([a-z-]+) `).FindAllStringSubmatch(usage, -1) {
		explained[m[1]] = true
	}
	source := ""
	for _, name := range []string{"serve.go", "get.go", "keys.go", "wls.go"} {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		source += string(data)
	}
	defined := map[string]bool{}
	call := regexp.MustCompile(`[fF]lags\.[A-Z][A-Za-z]+\((?:&[a-zA-Z.]+, )?"([a-z-]+)"`)
	for _, m := range call.FindAllStringSubmatch(source, -1) {
		defined[m[1]] = true
		if !explained[m[1]] {
			t.Errorf("usage does not explain --%s", m[1])
		}
	}
	if len(defined) != len(explained) {
		t.Errorf("usage explains %v, and there are %v", explained, defined)
	}
}

// removeAll removes a folder. A client may still be storing its clock there: after a slow call,
// that goes on in the background for a moment.
func removeAll(t *testing.T, folder string) {
	var err error
	for range 100 {
		if err = os.RemoveAll(folder); err == nil {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Error(err)
}

// Both halves run over real sockets.
func TestServeAndGet(t *testing.T) {
	getenv := func(name string) string {
		if name == passwordVariable {
			return annPassword
		}
		return ""
	}
	home, err := os.MkdirTemp("", "luckynum") //nolint:usetesting // removed with patience
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { removeAll(t, home) })
	for _, name := range []string{"HOME", "XDG_CONFIG_HOME", "AppData"} { // for every system
		t.Setenv(name, home)
	}
	users := writeFile(t, t.TempDir(), "demo:"+demoPassword+"\r\n\nann:"+annPassword+"\n")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out, in := io.Pipe()
	var log lockedBuffer
	status := make(chan int)
	go func() {
		args := []string{"serve", "--address", "127.0.0.1:0", "--users", users, "--skew", "2h"}
		code := run(ctx, args, nil, in, &log, getenv)
		in.Close()
		status <- code
	}()
	served := bufio.NewReader(out)
	line, err := served.ReadString('\n')
	if err != nil {
		t.Fatalf("%v: %s", err, log.String())
	}
	address := regexp.MustCompile(`http://[0-9.:]+`).FindString(line)

	var stdout, stderr bytes.Buffer
	args := []string{"get", "--user", "ann", "-n", "2", address}
	if code := run(ctx, args, nil, &stdout, &stderr, getenv); code != 0 {
		t.Errorf("get: status %d, %s", code, &stderr)
	}
	if n := strings.Count(stdout.String(), "Hello ann!"); n != 2 {
		t.Errorf("got %s", &stdout)
	}
	stderr.Reset()
	taken := []string{"serve", "--address", strings.TrimPrefix(address, "http://")}
	code := run(ctx, taken, nil, io.Discard, &stderr, getenv)
	result{status: code, stderr: stderr.String()}.fails(t, "address in use", "another --address")

	cancel()
	rest, err := io.ReadAll(served)
	if code := <-status; code != 0 || err != nil {
		t.Errorf("serve: status %d, %v", code, err)
	}
	if string(rest) != "Served: issued 1, answered 2, stale 1, expired 0, invalid 0.\n" {
		t.Errorf("serve ends with %q", rest)
	}
	if !strings.Contains(log.String(), "subject=ann") {
		t.Errorf("the log does not tell who got a key: %s", log.String())
	}
	if strings.Contains(line+log.String()+stdout.String()+stderr.String(), "canary-") {
		t.Error("a secret is printed")
	}
}

func TestServeUsers(t *testing.T) {
	dir := t.TempDir()
	for _, tt := range []struct{ reason, file, text string }{
		{"no colon", "demo:" + demoPassword + "\ncanary-77aa\n", "line 2"},
		{"no name", ":" + demoPassword, "line 1"},
		{"no password", "demo:\n", "line 1"},
		{"twice", "a:canary-88bb\na:canary-99cc\n", "line 2"},
		{"nobody", "\n", "no user"},
	} {
		file := writeFile(t, dir, tt.file)
		new(machine).run(t, "serve", "--users", file).fails(t, tt.reason, tt.text)
	}
	new(machine).run(t, "serve", "--users", dir+"/none").fails(t, "no file", "none")
}

// Ctrl-C before the service has begun is not an error either.
func TestServeInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	m := machine{environ: map[string]string{passwordVariable: demoPassword}}
	r := m.runContext(t, ctx, "serve", "--address", "127.0.0.1:0")
	if r.status != 0 || r.stderr != "" {
		t.Errorf("status %d, %s", r.status, r.stderr)
	}
}

func TestColor(t *testing.T) {
	// The null device is a character device like a terminal.
	device, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer device.Close()
	file, err := os.Open(writeFile(t, t.TempDir(), ""))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, tt := range []struct {
		reason  string
		w       io.Writer
		environ map[string]string
		want    bool
	}{
		{"terminal", device, nil, true},
		{"file", file, nil, false},
		{"no file at all", new(bytes.Buffer), nil, false},
		{"user says no", device, map[string]string{"NO_COLOR": "1"}, false},
		{"terminal without colors", device, map[string]string{"TERM": "dumb"}, false},
	} {
		p := &program{getenv: func(name string) string { return tt.environ[name] }}
		if got := p.stepsTo(tt.w).colorful; got != tt.want {
			t.Errorf("%s: %t", tt.reason, got)
		}
	}
	var b strings.Builder
	(&steps{w: &b, colorful: true}).print(number, "7")
	if want := "   \x1b[32mnumber          \x1b[0m 7\n"; b.String() != want {
		t.Errorf("got %q", b.String())
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
