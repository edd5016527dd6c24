package interop

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/portal"
)

// asRoot runs a program of the system as root, with input on its standard input.
func asRoot(t *testing.T, input, name string, args ...string) string {
	t.Helper()
	if os.Getuid() != 0 {
		name, args = "sudo", append([]string{"-n", name}, args...)
	}
	cmd := exec.Command(name, args...)
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q, which needs root and the package passwd of Debian: %v\n%s",
			name, args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// The real pwauth, which asks PAM, accepts a user of the machine until the system closes the
// account. A File gives the same verdicts for the user's line in the system's shadow file.
//
// The test adds a user without a home and a shell to the machine that runs it, and removes the user
// at the end. The helper runs as www-data, as for a service that is not root.
func TestUnix(t *testing.T) {
	t.Parallel() // pwauth sleeps most of the time
	const user, right = "countersign-test", "canary-un1x and a blank"
	if _, err := exec.Command("getent", "passwd", user).Output(); err == nil {
		asRoot(t, "", "userdel", user) // may be left from a run that was killed
	}
	asRoot(t, "", "useradd", "--no-create-home", "--shell", "/usr/sbin/nologin", user)
	t.Cleanup(func() { asRoot(t, "", "userdel", user) })
	asRoot(t, user+":"+right+"\n", "chpasswd")

	const pwauth = "/usr/sbin/pwauth"
	if _, err := os.Stat(pwauth); err != nil {
		t.Fatalf("the package pwauth of Debian is needed: %v", err)
	}
	helper := &portal.Command{Path: "setpriv", Timeout: time.Minute, Args: []string{
		"--reuid=www-data", "--regid=www-data", "--clear-groups", "--reset-env", pwauth,
	}}
	if os.Getuid() != 0 {
		helper.Path, helper.Args = "sudo", []string{"-n", "-u", "www-data", pwauth}
	}
	shadow := func() string { return asRoot(t, "", "getent", "shadow", user) }
	if line := shadow(); !strings.HasPrefix(line, user+":$y$") {
		t.Errorf("the system hashes by another method than yescrypt: %.25q", line)
	}
	wantVerdicts := func(reason, user, password string, good bool) {
		t.Helper()
		file := &portal.File{Path: writeUsers(t, shadow()+"\n")}
		for name, users := range map[string]portal.Checker{"pwauth": helper, "File": file} {
			subject, err := users.Check(context.Background(),
				portal.Password{User: user, Password: creds.Secret(password)})
			if good != (err == nil) || good != (subject == user) ||
				err != nil && !errors.Is(err, portal.ErrUnauthorized) ||
				strings.Contains(fmt.Sprint(err), "canary-") {
				t.Errorf("%s: %s: %q, %v", reason, name, subject, err)
			}
		}
	}
	wantVerdicts("right", user, right, true)
	wantVerdicts("wrong", user, right+"x", false)
	wantVerdicts("unknown", user+"-2", right, false)
	wantVerdicts("a line feed", user, right+"\nx", false)

	asRoot(t, "", "usermod", "--lock", user)
	wantVerdicts("locked", user, right, false)
	asRoot(t, "", "usermod", "--unlock", user)
	wantVerdicts("unlocked", user, right, true)
	asRoot(t, "", "chage", "--expiredate", "2000-01-01", user)
	wantVerdicts("the account has expired", user, right, false)
	asRoot(t, "", "chage", "--expiredate", "2100-01-01", user)
	wantVerdicts("it will", user, right, true)
	asRoot(t, "", "chage", "--maxdays", "10", "--lastday", "2000-01-01", user)
	wantVerdicts("the password is too old", user, right, false)
	asRoot(t, "", "chage", "--maxdays", "-1", user)
	wantVerdicts("passwords do not age", user, right, true)
	asRoot(t, "", "chage", "--lastday", "0", user)
	wantVerdicts("the password must be changed", user, right, false)
}

// A helper that cannot run, or that rejects its input as incomplete, is an outage, not a wrong
// password.
func TestUnixOutage(t *testing.T) {
	for reason, args := range map[string][]string{
		"pwauth with a part of its input missing": {"-c", "head -c 3 | /usr/sbin/pwauth"},
		"no such helper": {"-c", "exec /usr/sbin/no-such-helper"},
	} {
		users := &portal.Command{Path: "/bin/sh", Args: args}
		given := portal.Password{User: "ann", Password: creds.Secret("x")}
		subject, err := users.Check(t.Context(), given)
		if subject != "" || err == nil || errors.Is(err, portal.ErrUnauthorized) {
			t.Errorf("%s: %q, %v", reason, subject, err)
		}
	}
}
