//go:build unix

package portal_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/countersign-go/countersign/portal"
)

// A client that hangs up leaves no program running, even if the helper is a script that waits for
// another program.
func TestCommandKillsWhatTheHelperStarted(t *testing.T) {
	dir := t.TempDir()
	script, noted := filepath.Join(dir, "helper"), filepath.Join(dir, "pid")
	text := "#!/bin/sh\nsleep 60 &\necho $! > " + noted + ".new\nmv " + noted + ".new " + noted +
		"\nwait\n"
	if err := os.WriteFile(script, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	ctx, hangUp := context.WithCancel(t.Context())
	defer hangUp()
	failed := make(chan error, 1)
	go func() {
		_, err := (&portal.Command{Path: script}).Check(ctx, password("ann", "canary-r1ght"))
		failed <- err
	}()
	var pid int
	eventually(t, "the script starts a program", func() bool {
		text, err := os.ReadFile(noted)
		if err == nil {
			pid, err = strconv.Atoi(strings.TrimSpace(string(text)))
		}
		return err == nil
	})
	defer syscall.Kill(pid, syscall.SIGKILL) //nolint:errcheck // it should be gone
	hangUp()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Errorf("the login failed with %v", err)
	}
	eventually(t, "the program is gone", func() bool { return isGone(pid) })
}

// isGone reports whether a process has ended. A process that has ended stays in the table until its
// parent, which may be any program here, asks for its status.
func isGone(pid int) bool {
	if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return true
	}
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	return err == nil && strings.Contains(string(stat), ") Z ")
}

// eventually waits until done reports true, for an effect of another process.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for range 1000 {
		if done() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("not within 10 s: %s", what)
}
