package portal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"reflect"
	"slices"
	"time"

	"github.com/countersign-go/countersign/creds"
)

// Command is a [Checker] of [Password] that asks a helper program, so that the service itself needs
// no access to the passwords. Use it by pointer, and do not change its fields once it is in use.
//
//	users := &portal.Command{Path: "/usr/sbin/pwauth"} // the users of this machine, by PAM
//
// The helper uses the protocol of mod_authnz_external of Apache, method "pipe"; see
// [Command.Check].
type Command struct {
	// Path is the helper program: a file, or a name that is looked up in the folders of the
	// environment variable PATH. Required.
	Path string
	Args []string `json:"-"` // arguments of the helper
	// Env is the helper's environment, as in [exec.Cmd]. If nil, the helper gets a PATH with the
	// usual folders of programs and no other variable, since the service's own environment may hold
	// secrets.
	Env []string `json:"-"`

	// Processes is how many helpers run at once. A helper that uses PAM takes two seconds or more
	// for a wrong password and sleeps most of that time. If zero, 16.
	Processes int
	// Wait is how long a login waits until its helper can be started. After that it fails with
	// [ErrBusy]. If zero, 750 ms. If negative, the login does not wait.
	Wait time.Duration
	// Timeout is how long the helper may take. After that the helper is killed, on Unix together
	// with the programs that it has started, and the login fails with an error that wraps
	// [context.DeadlineExceeded]. If zero, 10 s.
	Timeout time.Duration
	// Delay is the shortest time from the start of the helper to a refusal. It hides which users
	// exist, since helpers do not take the same time for an unknown name as for a wrong password:
	// pwauth refuses an unknown name at once, and a wrong password after two to three seconds. If
	// zero, 3 s. If negative, a refusal is not delayed, and its time may reveal which users exist.
	Delay time.Duration

	slots slots
}

// Format writes only the Path, under every verb: arguments and environment may hold secrets.
func (c *Command) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "{Path:%q}", c.Path) }

// Kinds returns the type of Password.
func (*Command) Kinds() []reflect.Type { return []reflect.Type{reflect.TypeFor[Password]()} }

// Load returns an error if the helper does not exist, or if all users of the machine can write to
// it. It does not run the helper.
func (c *Command) Load() error {
	if c.Path == "" {
		return errors.New("portal: the Command has no Path")
	}
	path, err := exec.LookPath(c.Path)
	if err != nil {
		return fmt.Errorf("portal: helper: %w", err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("portal: helper: %w", err)
	}
	if permits(info, 0o002) {
		return fmt.Errorf("portal: helper: %s: all users can write to it: chmod o-w it", path)
	}
	return nil
}

// Check runs the helper and returns the name that was given, if the helper accepts it. Where the
// helper takes several spellings for one user, each spelling is a separate subject.
//
// The helper reads the name and the password from its standard input, each ended by a line feed. It
// answers with its exit status:
//
//	0                the password is right
//	1 to 5, 7 to 49  it is wrong, or the account may not log in
//	any other        the helper could not decide
//
// Status 6 of pwauth means that logins are turned off. The password never appears in arguments or
// in the environment, which other users of the machine can read. The helper's output is discarded.
//
// Check refuses some logins without asking the helper: an empty name or password, one that is too
// long for the other Checkers, a name with a control character, and a password with a NUL, a line
// feed or a carriage return.
//
// If Check has killed the helper or has stopped waiting for it, the error has a method Spent() bool
// that returns true, as for [Checkers.Check]: the helper may have judged the password.
func (c *Command) Check(ctx context.Context, credentials Credentials) (subject string, err error) {
	given, ok := credentials.(Password)
	if !ok {
		return "", unhandled(credentials, c.Kinds())
	}
	switch {
	case c.Path == "":
		return "", errors.New("portal: the Command has no Path")
	case !isName(given.User), len(given.Password) == 0, len(given.Password) > maxPassword,
		bytes.ContainsAny(given.Password, "\x00\r\n"): // where a helper could stop reading
		return "", ErrUnauthorized
	}
	n := c.Processes
	if n <= 0 {
		n = 16
	}
	release, err := c.slots.take(ctx, n, c.Wait)
	if err != nil {
		return "", err
	}
	delay := time.NewTimer(orElse(c.Delay, 3*time.Second))
	defer delay.Stop()
	if err = c.run(ctx, given, release); errors.Is(err, ErrUnauthorized) {
		select {
		case <-delay.C:
		case <-ctx.Done(): // the guess counts, as while the helper runs
			return "", spent{noTime(ctx)}
		}
	}
	if err != nil {
		return "", err
	}
	return given.User, nil
}

// CheckPassword calls Check with a [Password].
func (c *Command) CheckPassword(
	ctx context.Context, user string, password creds.Secret) (subject string, err error) {
	return c.Check(ctx, Password{user, password})
}

// run runs the helper. It does not wait for a helper that cannot be killed, for example because it
// runs as another user, so release is called when the process has ended.
func (c *Command) run(ctx context.Context, given Password, release func()) error {
	ctx, cancel := context.WithTimeout(ctx, orElse(c.Timeout, 10*time.Second))
	defer cancel()
	helper := exec.CommandContext(ctx, c.Path, c.Args...) //nolint:gosec // its user chose it
	helper.Env = c.Env
	if helper.Env == nil {
		helper.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	}
	helper.Stdin = bytes.NewReader(
		slices.Concat([]byte(given.User), []byte("\n"), given.Password, []byte("\n")))
	killGroup(helper)
	ended := make(chan error, 1)
	go func() {
		defer release()
		ended <- helper.Run()
	}()
	var err error
	select {
	case err = <-ended:
	case <-ctx.Done():
		err = ctx.Err()
	}
	exit, exited := errors.AsType[*exec.ExitError](err)
	switch {
	case err == nil:
		return nil
	case exited && exit.ExitCode() > 0 && exit.ExitCode() < 50 && exit.ExitCode() != 6:
		return refused(fmt.Errorf("the helper ended with %w", err))
	case ctx.Err() != nil:
		return spent{fmt.Errorf("portal: helper %s did not answer in time: %w", c.Path,
			context.Cause(ctx))}
	}
	return fmt.Errorf("portal: helper %s: %w", c.Path, err)
}

// orElse returns d, or other if d is zero.
func orElse(d, other time.Duration) time.Duration {
	if d == 0 {
		return other
	}
	return d
}
