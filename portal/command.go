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
// no access to the passwords. It is used by pointer, and its fields must not be changed once it is
// in use.
//
//	users := &portal.Command{Path: "/usr/sbin/pwauth"} // the users of this machine, by PAM
//
// The helper reads the name and the password from its standard input, each ended by a line feed. It
// answers with its exit status, like helpers of mod_authnz_external of Apache (method "pipe"):
//
//	0                the password is right
//	1 to 5, 7 to 49  it is wrong, or the account may not log in
//	any other        the helper could not decide
//
// Status 6 of pwauth means that logins are turned off. The password never stands in arguments or in
// the environment, which other users of the machine can read. The helper's output is discarded.
//
// Some logins are wrong without asking the helper: an empty name or password, one that is too long
// for the other Checkers, a name with a control character, a password with a NUL, a line feed or a
// carriage return. The subject is the given name, so where the helper takes several spellings for
// one user, each is a subject of its own.
type Command struct {
	// Path is the helper: a file, or a name that is looked up in the folders of PATH. Required.
	Path string
	Args []string `json:"-"` // its arguments
	// Env is its environment, as in [exec.Cmd]. If nil, it is a PATH with the usual folders of
	// programs and nothing else, since a service may have secrets in its own environment.
	Env []string `json:"-"`

	// Processes is how many helpers run at once. One of PAM takes two seconds and more over a wrong
	// password, most of which it sleeps. If 0, 16.
	Processes int
	// Wait is how long a login waits until its helper can be started. Beyond that it fails with
	// [ErrBusy]. If 0, 750 ms. If negative, it does not wait.
	Wait time.Duration
	// Timeout is how long the helper may take. Beyond that it is killed, on Unix together with the
	// programs that it has started, and the login fails with an error that wraps
	// [context.DeadlineExceeded]. If 0, 10 s.
	Timeout time.Duration
	// Delay is how long after the start of the helper a login is refused at the soonest. Helpers do
	// not take care to answer in the same time for a name that does not exist: pwauth does so at
	// once, and after two to three seconds for a wrong password. If 0, 3 s. If negative, a login is
	// refused at once, and the time may tell who is a user.
	Delay time.Duration

	slots slots
}

// Format writes the Path alone, whatever the verb: arguments and environment may hold secrets.
func (c *Command) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "{Path:%q}", c.Path) }

// Kinds returns the type of Password.
func (*Command) Kinds() []reflect.Type { return []reflect.Type{reflect.TypeFor[Password]()} }

// Load returns an error if the helper is not there, or if all users of the machine can write to it.
// It does not run the helper.
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

// Check returns the name of the user. An error that comes from a helper that was ended, or that
// was not waited for, has a method Spent() bool that returns true, as in [Checkers]: the helper may
// have judged the password.
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
		case <-ctx.Done(): // as if the helper had been waited for
			return "", spent{noTime(ctx)}
		}
	}
	if err != nil {
		return "", err
	}
	return given.User, nil
}

// CheckPassword is Check for a [Password].
func (c *Command) CheckPassword(
	ctx context.Context, user string, password creds.Secret) (subject string, err error) {
	return c.Check(ctx, Password{user, password})
}

// run asks the helper. It does not wait for one that cannot be killed, as one of another user may
// be, so release is called when the process is gone.
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
