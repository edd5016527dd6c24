package portal_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/countersign-go/countersign/portal"
)

var takesPasswords = []reflect.Type{reflect.TypeFor[portal.Password]()}

// ticketType returns a Type that a program adds.
func ticketType() portal.Type {
	return portal.Type{
		Word: "ticket", Argument: "SERIAL of the only ticket", Help: "Lets one ticket in.",
		Kinds: []reflect.Type{reflect.TypeFor[ticket]()},
		New: func(argument string) (portal.Checker, error) {
			if argument == "" {
				return nil, errors.New("write the serial")
			}
			return &fixed{subject: argument}, nil
		},
	}
}

func TestFlagsOfMemory(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, tt := range []struct {
		reason, argument string
		user, password   string // a login that succeeds
	}{
		{"one", "ann:x", "ann", "x"},
		{"two", "ann:x:bob:y", "bob", "y"},
		{"a file", "@" + write("one", "# people\n\nann:x\nbob:y \r\n"), "bob", "y"},
		{"a colon in a password", "@" + write("two", "ann:x:y:z"), "ann", "x:y:z"},
		{"blanks at the beginning count", "@" + write("three", "ann: x\n"), "ann", " x"},
	} {
		checkers, _, err := withFlags(portal.Flags{Kinds: takesPasswords}, "--auth",
			"memory:"+tt.argument)
		if err != nil {
			t.Errorf("%s: %v", tt.reason, err)
			continue
		}
		wants(t, tt.reason, checkers, password(tt.user, tt.password), tt.user)
		wants(t, tt.reason, checkers, password(tt.user, tt.password+"z"), "")
	}
	shared := write("shared", "ann:canary-5hared")
	if err := os.Chmod(shared, 0o640); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ reason, argument, text string }{
		{"a password without a name", "canary-0ne", "write NAME:PASSWORD"},
		{"an odd number", "ann:canary-0ne:canary-7wo", "write NAME:PASSWORD"},
		{"an empty password", "ann:", "write NAME:PASSWORD"},
		{"an empty name", ":canary-0ne", "write NAME:PASSWORD"},
		{"a name twice", "ann:canary-0ne:ann:canary-7wo", "each name once"},
		{"a name with a line end", "ann\n:canary-0ne", "write NAME:PASSWORD"},
		{"a password over 1 KiB", "ann:" + strings.Repeat("x", 1025), "write NAME:PASSWORD"},
		{"no file", "@" + dir + "/none", "none"},
		{"no path", "@", "no such file"},
		{"a folder", "@" + dir, "not a regular file"},
		{"a file that others can read", "@" + shared, "chmod 600"},
		{"a line without a colon", "@" + write("4", "ann:x\ncanary-0ne\n"), "line 2: no name"},
		{"a name twice in a file", "@" + write("5", "ann:canary-0ne\n\nann:canary-7wo"),
			"line 3: write name:password"},
		{"a mark before the first name", "@" + write("7", "\ufeffann:canary-0ne"),
			"line 1: a byte order"},
		{"a long line", "@" + write("6", "ann:"+strings.Repeat("x", 5000)), "line 1: a line over"},
	} {
		if tt.argument == "@"+shared && runtime.GOOS == "windows" {
			continue
		}
		_, out, err := withFlags(portal.Flags{Kinds: takesPasswords}, "--auth",
			"memory:"+tt.argument)
		if text := fmt.Sprint(err); err == nil || !strings.HasPrefix(text, "--auth memory: ") ||
			!strings.Contains(text, tt.text) || strings.Contains(text, "canary-") || out != "" {
			t.Errorf("%s: %v; want %q", tt.reason, err, tt.text)
		}
	}
}

func TestFlagsOfFile(t *testing.T) {
	good := writeUsers(t, "ann:"+bcryptOfX)
	checkers, _, err := withFlags(portal.Flags{Kinds: takesPasswords}, "--auth", "file:"+good)
	if err != nil {
		t.Fatal(err)
	}
	wants(t, "right", checkers, password("ann", "x"), "ann")

	_, _, err = withFlags(portal.Flags{}, "--auth", "file:"+good+"-not")
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), good+"-not") {
		t.Errorf("no file: %v", err)
	}
	bad := writeUsers(t, "ann:"+bcryptOfX+"\nbob:canary-c1ear\n")
	_, _, err = withFlags(portal.Flags{}, "--auth", "file:"+bad)
	if err == nil || !strings.Contains(err.Error(), "line 2") ||
		strings.Contains(err.Error(), "canary-") ||
		!strings.Contains(err.Error(), "write --auth memory:@"+bad) {
		t.Errorf("a bad line: %v", err)
	}
	_, _, err = withFlags(portal.Flags{}, "--auth", "file:"+writeUsers(t, "ann:$apr1$x$y\n"))
	if err == nil || strings.Contains(err.Error(), "memory:@") {
		t.Errorf("a weak hash is no password in clear: %v", err)
	}
	checkers, _, err = withFlags(portal.Flags{}, "--auth", "memory:@"+writeUsers(t, "bob:x\n"))
	if err != nil {
		t.Fatal(err)
	}
	wants(t, "the way out", checkers, password("bob", "x"), "bob")
}

func TestFlagsOfUnix(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	checkers, _, err := withFlags(portal.Flags{Kinds: takesPasswords}, "--auth", "unix:"+self)
	if err != nil || len(checkers) != 1 {
		t.Fatal(checkers, err)
	}
	if got, ok := checkers[0].(*portal.Command); !ok || got.Path != self {
		t.Errorf("%T with another helper: %v", checkers[0], checkers[0])
	}

	// Without an argument, the helper is pwauth, looked up in PATH.
	dir := t.TempDir()
	name := "pwauth"
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	if err := os.Symlink(self, filepath.Join(dir, name)); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir)
	checkers, _, err = withFlags(portal.Flags{Kinds: takesPasswords}, "--auth", "unix")
	if err != nil || len(checkers) != 1 {
		t.Fatal(checkers, err)
	}
	if got, ok := checkers[0].(*portal.Command); !ok || got.Path != filepath.Join(dir, name) {
		t.Errorf("%T with another helper: %v", checkers[0], checkers[0])
	}

	_, _, err = withFlags(portal.Flags{}, "--auth", "unix:"+filepath.Join(dir, "none"))
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no such helper: %v", err)
	}
}

func TestFlagsOwnType(t *testing.T) {
	login := portal.Flags{
		Kinds: append(takesPasswords, reflect.TypeFor[ticket]()),
		Types: []portal.Type{ticketType()},
	}
	checkers, _, err := withFlags(login, "--auth", "ticket:a:b", "--auth", "memory:ann:x")
	if err != nil || len(checkers) != 2 {
		t.Fatal(checkers, err)
	}
	wants(t, "all behind the first colon", checkers, ticket{}, "a:b")
	if _, _, err = withFlags(login, "--auth", "ticket"); err == nil ||
		err.Error() != "--auth ticket: write the serial" {
		t.Error(err)
	}
	_, out, _ := withFlags(login, "--help-auth")
	if !strings.Contains(out, "\n  ticket  SERIAL of") {
		t.Errorf("it is not listed: %s", out)
	}
	login.Kinds = takesPasswords
	if _, out, _ := withFlags(login, "--help-auth"); strings.Contains(out, "ticket") {
		t.Errorf("it is listed where it does not fit: %s", out)
	}

	_, _, err = withFlags(portal.Flags{}, "--auth", "anonymous:canary-0ne")
	if err == nil || err.Error() != "--auth anonymous: takes no argument" {
		t.Errorf("an argument where there is none: %v", err)
	}

	nothing := ticketType()
	nothing.New = func(string) (portal.Checker, error) { return nil, nil }
	checkers, _, err = withFlags(portal.Flags{Types: []portal.Type{nothing}}, "--auth", "ticket:x")
	if checkers != nil || err == nil || !strings.Contains(err.Error(), "no Checker") {
		t.Errorf("a type that makes nothing: %v, %v", checkers, err)
	}

	file := ticketType()
	file.Word = "file"
	login = portal.Flags{Types: []portal.Type{file}}
	checkers, _, err = withFlags(login, "--auth", "file:mine")
	if err != nil {
		t.Fatal(err)
	}
	wants(t, "it takes the place of ours", checkers, ticket{}, "mine")
	if _, out, _ := withFlags(login, "--help-auth"); strings.Count(out, "\n  file ") != 1 {
		t.Errorf("listed twice: %s", out)
	}
}

// The help texts fit a terminal, and the help of each type is complete.
func TestHelpText(t *testing.T) {
	_, list, err := withFlags(portal.Flags{}, "--help-auth", "--auth", "nope")
	if err != flag.ErrHelp {
		t.Error(err)
	}
	texts := list
	for _, word := range []string{"anonymous", "file", "memory", "unix"} {
		_, out, err := withFlags(portal.Flags{}, "--help-auth-type", word)
		if err != flag.ErrHelp || !strings.HasPrefix(out, "--auth "+word) ||
			len(strings.Split(out, "\n\n")) < 3 {
			t.Errorf("%s: %v, %s", word, err, out)
		}
		texts += out
	}
	for line := range strings.Lines(texts) {
		if utf8.RuneCountInString(line) > 81 {
			t.Errorf("too wide for a terminal: %s", line)
		}
	}
	if n := len(strings.Split(strings.TrimSpace(list), "\n")); n != 8 {
		t.Errorf("%d lines in %s", n, list)
	}
}

// brokenWriter is a terminal that is gone.
type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errDown }

func TestHelpNotWritten(t *testing.T) {
	for _, args := range [][]string{{"--help-auth"}, {"--help-auth-type", "file"}} {
		var login portal.Flags
		flags := flag.NewFlagSet("x", flag.ContinueOnError)
		login.Register(flags)
		if err := flags.Parse(args); err != nil {
			t.Fatal(err)
		}
		if _, err := login.Checkers(brokenWriter{}); !errors.Is(err, errDown) ||
			!errors.Is(err, flag.ErrHelp) {
			t.Errorf("%s: %v", args, err)
		}
	}
}

// Package flag reports a wrong value of a flag by printing the value.
func TestFlagsPrintNoSecret_K17(t *testing.T) {
	var out bytes.Buffer
	for _, auth := range []string{
		"memory:ann:canary-0ne", "memory:ann:canary-0ne:bob", "canary-0ne", "ann:canary-0ne",
		"file:", "anonymous:canary-0ne",
	} {
		login := &portal.Flags{}
		flags := flag.NewFlagSet("x", flag.ContinueOnError)
		flags.SetOutput(&out)
		login.Register(flags)
		err := flags.Parse([]string{"--auth", auth})
		checkers, usage := login.Checkers(&out)
		flags.PrintDefaults()
		flags.VisitAll(func(f *flag.Flag) { fmt.Fprintln(&out, f, f.Value, f.DefValue) })
		fmt.Fprintf(&out, "%v %v %v %+v %#v %v %+v\n", err, usage, login, login, login, *login,
			checkers)
		fmt.Fprintln(&out, flags.Parse([]string{"--nope"}))
	}
	if strings.Contains(out.String(), "canary-") {
		t.Error("a secret is printed")
	}
	if !strings.Contains(out.String(), "--help-auth") {
		t.Error("nothing was printed")
	}
}

func TestNoAuth(t *testing.T) {
	checkers, out, err := withFlags(portal.Flags{Kinds: takesPasswords})
	if len(checkers) != 0 || out != "" || err != nil {
		t.Errorf("%v, %q, %v", checkers, out, err)
	}
	flags := flag.NewFlagSet("x", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	new(portal.Flags).Register(flags)
	if err := flags.Parse([]string{"--auth"}); err == nil {
		t.Error("--auth without a value")
	}
}
