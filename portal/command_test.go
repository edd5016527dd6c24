package portal_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/portal"
)

// The test binary is also the helper program of the tests' Commands.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "helper" {
		os.Exit(helper(os.Args[2:]))
	}
	os.Exit(m.Run())
}

// helper returns the exit status of the helper program: the first argument. If that is 0, every
// login but ann's with the right password gets 1. helper writes its arguments, environment and
// input to the file that the second argument names.
func helper(args []string) int {
	input, err := io.ReadAll(os.Stdin)
	if err != nil {
		return 99
	}
	if len(args) > 1 {
		seen := fmt.Appendf(nil, "%q\n%q\n%q\n", os.Args, os.Environ(), input)
		if err := os.WriteFile(args[1], seen, 0o600); err != nil {
			return 98
		}
	}
	switch {
	case args[0] == "never":
		select {}
	case args[0] == "killed":
		self, err := os.FindProcess(os.Getpid())
		if err != nil || self.Kill() != nil {
			return 97
		}
		select {}
	case args[0] == "0" && string(input) != "ann\ncanary-r1ght\n":
		return 1
	}
	status, err := strconv.Atoi(args[0])
	if err != nil {
		return 96
	}
	return status
}

// ask returns a Command that runs the helper above and refuses at once.
func ask(t testing.TB, args ...string) *portal.Command {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return &portal.Command{Path: self, Args: append([]string{"helper"}, args...), Delay: -1}
}

func TestCommand(t *testing.T) {
	users := ask(t, "0")
	if err := users.Load(); err != nil {
		t.Error(err)
	}
	for _, tt := range []struct{ reason, user, password, subject string }{
		{"right", "ann", "canary-r1ght", "ann"},
		{"wrong", "ann", "canary-wr0ng", ""},
		{"unknown", "bob", "canary-r1ght", ""},
		{"a line feed, behind which the helper would not look", "ann", "canary-r1ght\nx", ""},
		{"a carriage return", "ann", "canary-r1ght\r", ""},
		{"a NUL", "ann", "canary-r1ght\x00x", ""},
		{"a name with the password in it", "ann\ncanary-r1ght\n", "x", ""},
		{"no name", "", "canary-r1ght", ""},
		{"no password", "ann", "", ""},
	} {
		err := wants(t, tt.reason, users, password(tt.user, tt.password), tt.subject)
		if strings.Contains(fmt.Sprint(err), "canary-") {
			t.Errorf("%s: the error repeats the password", tt.reason)
		}
	}
	_, err := users.Check(t.Context(), portal.Anonymous{})
	if !errors.Is(err, portal.ErrUnhandled) {
		t.Errorf("another kind of credentials: %v", err)
	}
}

// The password must never appear where other users of the machine can read it, and the helper must
// not get the service's environment.
func TestCommandKeepsSecrets(t *testing.T) {
	t.Setenv("DATABASE_PASSWORD", "canary-env1")
	seen := filepath.Join(t.TempDir(), "seen")
	wants(t, "right", ask(t, "0", seen), password("ann", "canary-r1ght"), "ann")
	text, err := os.ReadFile(seen)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(text), "\n")
	if strings.Contains(lines[0], "canary-") || strings.Contains(lines[1], "canary-") ||
		!strings.Contains(lines[1], "PATH=") {
		t.Error("a secret is in the arguments or in the environment, or PATH is not")
	}
	if want := strconv.Quote("ann\ncanary-r1ght\n"); lines[2] != want {
		t.Error("the helper was given another input than a line for each of the two")
	}

	users := ask(t, "0", seen)
	users.Env = []string{"ONLY=this"}
	wants(t, "an environment of its own", users, password("ann", "canary-r1ght"), "ann")
	if text, err = os.ReadFile(seen); err != nil || !bytes.Contains(text, []byte(`["ONLY=this"`)) ||
		bytes.Contains(text, []byte("PATH=")) {
		t.Errorf("%v, or another environment", err)
	}
}

// The exit status distinguishes a wrong password from an outage.
func TestCommandStatus(t *testing.T) {
	for _, tt := range []struct {
		status string
		wrong  bool
	}{
		{"1", true}, {"2", true}, {"3", true}, {"4", true}, {"5", true}, {"7", true}, {"49", true},
		{"6", false}, {"50", false}, {"53", false}, {"126", false}, {"127", false}, {"255", false},
		{"killed", false},
	} {
		got, err := ask(t, tt.status).Check(t.Context(), password("ann", "canary-r1ght"))
		if got != "" || err == nil || errors.Is(err, portal.ErrUnauthorized) != tt.wrong ||
			strings.Contains(fmt.Sprint(err), "canary-") {
			t.Errorf("status %s: %q, %v", tt.status, got, err)
		}
		if guess, ok := errors.AsType[interface {
			error
			Spent() bool
		}](err); ok && guess.Spent() {
			t.Errorf("status %s: an outage counts as a wrong password", tt.status)
		}
	}
	for reason, users := range map[string]*portal.Command{
		"no path":            {},
		"no such file":       {Path: filepath.Join(t.TempDir(), "none")},
		"no such name":       {Path: "countersign-has-no-such-helper"},
		"not to be executed": {Path: writeUsers(t, "")},
	} {
		got, err := users.Check(t.Context(), password("ann", "canary-r1ght"))
		if got != "" || err == nil || errors.Is(err, portal.ErrUnauthorized) {
			t.Errorf("%s: %q, %v", reason, got, err)
		}
		if users.Load() == nil {
			t.Errorf("%s: it loads", reason)
		}
	}
}

// A helper that takes too long is killed, even if its caller has stopped waiting. The guess counts,
// since the helper may have judged it.
func TestCommandThatHangs(t *testing.T) {
	canceled, cancel := context.WithCancel(t.Context())
	seen := filepath.Join(t.TempDir(), "seen")
	go func() {
		for { // until the helper has begun
			if _, err := os.Stat(seen); err == nil || t.Context().Err() != nil {
				cancel()
				return
			}
			runtime.Gosched()
		}
	}()
	for _, tt := range []struct {
		reason  string
		ctx     context.Context
		timeout time.Duration
		want    error
	}{
		{"the caller has gone", canceled, 0, context.Canceled},
		{"the time is up", t.Context(), time.Millisecond, context.DeadlineExceeded},
	} {
		users := ask(t, "never", seen)
		users.Timeout, users.Processes, users.Wait = tt.timeout, 1, time.Minute
		limiter := &auth.Limiter{Burst: 1, Every: time.Hour}
		done, err := limiter.Attempt("ann")
		if err != nil {
			t.Fatal(err)
		}
		_, err = users.Check(tt.ctx, password("ann", "canary-r1ght"))
		if !errors.Is(err, tt.want) || errors.Is(err, portal.ErrUnauthorized) {
			t.Errorf("%s: %v", tt.reason, err)
		}
		done(err)
		if _, err := limiter.Attempt("ann"); err == nil {
			t.Errorf("%s: the guess was free", tt.reason)
		}
		// The only slot is free again, so the process has ended.
		users.Args, users.Timeout = []string{"helper", "never"}, time.Millisecond
		_, err = users.Check(t.Context(), password("ann", "x"))
		if errors.Is(err, portal.ErrBusy) {
			t.Errorf("%s: the helper still runs", tt.reason)
		}
	}
}

// A name that the helper does not know is refused no sooner than a wrong password.
func TestCommandDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, tt := range []struct{ delay, want time.Duration }{
			{0, 3 * time.Second}, {time.Second, time.Second}, {-1, 0},
		} {
			users := ask(t, "0")
			users.Delay, users.Processes, users.Wait = tt.delay, 1, time.Minute
			start := time.Now()
			wants(t, "wrong", users, password("bob", "canary-wr0ng"), "")
			if took := time.Since(start); took != tt.want {
				t.Errorf("Delay %v: refused after %v", tt.delay, took)
			}
			start = time.Now()
			wants(t, "right", users, password("ann", "canary-r1ght"), "ann")
			if took := time.Since(start); took != 0 {
				t.Errorf("Delay %v: let in after %v", tt.delay, took)
			}
		}
		// Other logins do not have to wait, and the guess counts even if the client does not wait.
		users := ask(t, "0")
		users.Delay, users.Processes, users.Wait = 0, 1, time.Minute
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		refused := make(chan error)
		go func() {
			_, err := users.Check(ctx, password("bob", "canary-wr0ng"))
			refused <- err
		}()
		synctest.Wait()
		wants(t, "another", users, password("ann", "canary-r1ght"), "ann")
		err := <-refused
		guess, ok := errors.AsType[interface {
			error
			Spent() bool
		}](err)
		if !ok || !guess.Spent() || errors.Is(err, portal.ErrUnauthorized) {
			t.Errorf("with its time over: %v", err)
		}
	})
}

// Never more than Processes helpers run at once, and during a flood logins fail with ErrBusy.
func TestCommandFlood(t *testing.T) {
	users := ask(t, "never")
	users.Processes, users.Wait = 2, -1
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	errs := make(chan error)
	for range 20 {
		go func() {
			_, err := users.Check(ctx, password("ann", "canary-wr0ng"))
			errs <- err
		}()
	}
	for i := range 20 {
		if i == 18 {
			cancel()
		}
		if err := <-errs; errors.Is(err, portal.ErrBusy) != (i < 18) {
			t.Errorf("login %d: %v", i, err)
		}
	}
}

// A user who can write to the helper controls all logins.
func TestCommandPermissions(t *testing.T) {
	if runtime.GOOS == "windows" {
		return // Windows has no such permissions
	}
	path := writeUsers(t, "")
	if err := os.Chmod(path, 0o757); err != nil {
		t.Fatal(err)
	}
	users := &portal.Command{Path: path}
	if err := users.Load(); err == nil || !strings.Contains(err.Error(), "chmod o-w") {
		t.Errorf("all users can write to it: %v", err)
	}
	if err := os.Chmod(path, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := users.Load(); err != nil {
		t.Error(err)
	}
}
