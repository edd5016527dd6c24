package portal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"reflect"
	"strings"
	"sync/atomic"
	"time"

	"github.com/countersign-go/countersign/creds"
)

// File is a [Checker] of [Password] against a file with one user on each line, in the form of
// htpasswd and of Cred's FilePasswordDB: the name, a colon, and the hash of the password. Use it by
// pointer, and do not change its fields once it is in use.
//
// The file is read again once it has changed, so users can be added and removed without a restart.
// To change it, write a new file and rename it over the old one: a file that is written in place
// may be read half written.
type File struct {
	// Path is the file. Required.
	//
	// Blanks at the end of a line are ignored; blanks at its beginning are not. Lines are skipped
	// if they are empty, begin with #, have too few columns, or have an empty name. An empty
	// password closes the account. In the formats of the package comment, a password that begins
	// with ! or * does so, too. Of two lines with the same name the first counts, even if it closes
	// the account. A file has up to 16 MiB, and a line up to 4 KiB.
	Path string

	Delimiter string // separator of columns; if empty, a colon
	// UserColumn and PasswordColumn count from 0. If both are 0, the name is in the first column
	// and the password in the second. Columns after those two are ignored, except in a shadow file;
	// see [File.Check].
	UserColumn, PasswordColumn int
	// CaseInsensitive makes names match regardless of case. The subject is then in lower case.
	CaseInsensitive bool

	// Verify must report whether the given password matches the stored text, for formats of the
	// application's own. It is also called for an unknown user, with the text of another line, so
	// that both take the same time. If the file has no valid line, it is not called, since then
	// there is no user to hide. It should read all of the given password and compare with
	// crypto/subtle. It must be safe for concurrent use. If nil, the formats in the package comment
	// are used.
	Verify func(user string, given creds.Secret, stored string) bool
	// PlainText means that the file holds passwords in clear text, so every process or person that
	// can read the file, or a backup of it, has them all. [Response] is handled then, too. Even if
	// no column follows the password, the password ends at the delimiter. If the two columns are
	// the first two, [File.Load] reports lines where that cuts text off.
	PlainText bool

	// Hashing is how many passwords are hashed at once, each at the cost in time and memory that
	// its line states. If zero, as many as there are processors.
	Hashing int
	// Wait is how long a login waits for its turn to hash. After that it fails with [ErrBusy], so a
	// flood of wrong passwords makes other logins fail soon instead of wait long. An auth.Limiter
	// in front keeps the flood out. If zero, 750 ms. If negative, a login does not wait.
	Wait time.Duration

	keys  keys // which decoy stands for an unknown name
	slots slots
	read  atomic.Pointer[users] // the file at the last read; nil before that
}

// Users is the content of a file. It is not changed after it was read.
type users struct {
	info    fs.FileInfo // of the file that was read
	since   time.Time   // when a file with this info was first read
	settled bool        // a later change will show in info
	byName  map[string]*stored
	decoys  decoys  // the valid lines
	unlike  *stored // for all names if no line is valid
	faults  []error // the first few
	more    int     // how many faults are not in faults
}

// Kinds returns the type of Password, and with PlainText also the type of Response.
func (f *File) Kinds() []reflect.Type { return passwordKinds(f.PlainText) }

// Load reads the file and returns an error for each mistake that keeps a user out: a line without a
// name or a column for the password, a hash in a format that is not supported or that costs too
// much, a second line with the same name, or a name with blanks around it. A closed account is not
// a mistake. Load also returns an error if all users of the machine can write to the file or, with
// PlainText, if users other than its owner can read it.
//
// A program should call Load when it starts, so that the mistakes are seen. At a login, such a line
// only makes the password wrong, and the permissions are not checked.
func (f *File) Load() error {
	u, err := f.users()
	if err != nil {
		return err
	}
	faults := append([]error{f.shared(u.info)}, u.faults...)
	if u.more > 0 {
		faults = append(faults, fmt.Errorf("portal: users: %s: and %d more", f.Path, u.more))
	}
	return errors.Join(faults...)
}

// shared returns an error if the file is open to users that should not have access.
func (f *File) shared(info fs.FileInfo) error {
	switch {
	case permits(info, 0o002):
		return fmt.Errorf("portal: users: %s: everybody can write to it: chmod o-w it", f.Path)
	case f.PlainText && isShared(info):
		return fmt.Errorf("portal: users: %s: others can read the passwords in it: chmod 600 it",
			f.Path)
	}
	return nil
}

// Check returns the user's name as the file has it, or in lower case with CaseInsensitive. If the
// file does not exist, it has no users: the error wraps both [ErrUnauthorized] and
// [fs.ErrNotExist]. If it cannot be read, the error wraps neither, since the password may be right.
//
// A line of nine columns, of which the third to the eighth are numbers or empty, counts as a line
// of a shadow file (shadow(5)): its user is refused once the account or the password has expired,
// and while the password must be changed. This applies if the Delimiter is a colon, the name and
// the password are in the first two columns, and PlainText is not set.
//
// An unknown name takes as long as a known one: its password is compared with the hash of another
// line, and the result is ignored. Up to 64 lines serve for that. A name keeps the same line as
// long as that line stays and the program runs, whatever happens to other lines. If the file has
// fewer users than that, a new user's line may replace the line of some names.
func (f *File) Check(ctx context.Context, c Credentials) (subject string, err error) {
	user, ok := userOf(c, f.PlainText)
	if !ok {
		return "", unhandled(c, f.Kinds())
	}
	if p, ok := c.(Password); ok && len(p.Password) > maxPassword || !isName(user) {
		return "", ErrUnauthorized
	}
	release, err := f.slots.take(ctx, f.Hashing, f.Wait)
	if err != nil {
		return "", err
	}
	defer release()
	u, err := f.users()
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("%w: %w", ErrUnauthorized, err)
	}
	if err != nil {
		return "", err
	}
	user = f.fold(user)
	if err := f.rules().match(c, user, u.byName[user], f.decoy(u, user)); err != nil {
		return "", err
	}
	return user, nil
}

// CheckPassword calls Check with a [Password].
func (f *File) CheckPassword(
	ctx context.Context, user string, password creds.Secret) (subject string, err error) {
	return f.Check(ctx, Password{user, password})
}

// decoy returns the stored password to compare with if user is not in the file. If it were the same
// for all names, the time would reveal which users are in a file with several formats.
func (f *File) decoy(u *users, user string) *stored {
	if s := u.decoys.of(f.keys.of(user)); s != nil {
		return s
	}
	return u.unlike
}

func (f *File) rules() rules { return rules{verify: f.Verify, plain: f.PlainText} }

func (f *File) fold(user string) string {
	if f.CaseInsensitive {
		return strings.ToLower(user)
	}
	return user
}

// settling is how long after its modification time a file must have been read to count as complete.
// Some file systems record times in steps of two seconds, so a second change within the same step
// could leave time and size the same. If the clocks disagree and the modification time lies ahead,
// settling counts from the first read that found that time.
const settling = 2 * time.Second

// same reports whether info is still the information of the file that u was read from.
func (u *users) same(info fs.FileInfo) bool {
	return os.SameFile(info, u.info) && info.Size() == u.info.Size() &&
		info.Mode() == u.info.Mode() && info.ModTime().Equal(u.info.ModTime())
}

// users returns the content of the file, reading it if it may have changed.
func (f *File) users() (*users, error) {
	if f.Path == "" { // an empty Path would count as a missing file, without users
		return nil, errors.New("portal: users: the File has no Path")
	}
	info, err := os.Stat(f.Path)
	if err != nil {
		return nil, fmt.Errorf("portal: users: %w", err)
	}
	last := f.read.Load()
	if last != nil && last.settled && last.same(info) {
		return last, nil
	}
	u, err := f.load(info)
	if err != nil {
		return nil, err
	}
	if last != nil && last.same(u.info) {
		u.settled = u.settled || u.since.Sub(last.since) > settling
		u.since = last.since
	}
	f.read.Store(u)
	return u, nil
}

// load reads the file. info must come from before the file is opened, since opening a pipe would
// wait for a writer.
func (f *File) load(info fs.FileInfo) (*users, error) {
	layout, err := f.layout()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("portal: users: %s is not a regular file", f.Path)
	}
	file, err := os.Open(f.Path)
	if err != nil {
		return nil, fmt.Errorf("portal: users: %w", err)
	}
	defer func() { _ = file.Close() }() // it was only read
	if info, err = file.Stat(); err != nil {
		return nil, fmt.Errorf("portal: users: %w", err)
	}
	if info.Size() > maxFile {
		return nil, fmt.Errorf("portal: users: %s has over %d bytes", f.Path, maxFile)
	}
	now := time.Now()
	u := &users{
		info: info, since: now, settled: now.Sub(info.ModTime()) > settling,
		byName: make(map[string]*stored),
	}
	// Bytes beyond maxFile were written after the size was checked.
	err = layout.readLines(io.LimitReader(file, maxFile),
		func(l line) { f.add(u, l) },
		func(number int, err error) { u.fault(f.at(number, err)) })
	if err != nil {
		return nil, fmt.Errorf("portal: users: %w", err)
	}
	u.unlike = f.rules().unlike()
	return u, nil
}

func (f *File) layout() (layout, error) {
	l := layout{delimiter: f.Delimiter, user: f.UserColumn, password: f.PasswordColumn}
	if l.delimiter == "" {
		l.delimiter = ":"
	}
	if l.user == 0 && l.password == 0 {
		l.password = 1
	}
	if l.user == l.password || l.user < 0 || l.password < 0 {
		return l, errors.New("portal: users: no two columns: see UserColumn and PasswordColumn")
	}
	return l, f.rules().check()
}

func (f *File) add(u *users, l line) {
	user := f.fold(l.user)
	if u.byName[user] != nil {
		u.fault(f.at(l.number, errors.New("a second line of a name, where the first counts")))
		return
	}
	if strings.TrimSpace(user) != user {
		u.fault(f.at(l.number, errors.New("a name with blanks around it, which are part of it")))
	}
	s := f.rules().read(l.password)
	u.byName[user] = s
	if s.fault != nil {
		fault := f.at(l.number, s.fault)
		if !errors.Is(s.fault, errClosed) {
			u.fault(fault)
		}
		s.fault = refused(fault)
		return
	}
	u.decoys.add(f.keys.of(user), s)
	first := f.UserColumn == 0 && f.PasswordColumn <= 1
	if first && !f.PlainText && (f.Delimiter == "" || f.Delimiter == ":") {
		if end, reason := shadowEnd(l.text); reason != nil {
			s.end, s.ended = end, refused(f.at(l.number, reason))
		}
	}
	if l.more && f.PlainText && first {
		u.fault(f.at(l.number, errors.New("a password with the delimiter in it ends there: "+
			"choose another Delimiter")))
	}
}

func (u *users) fault(err error) {
	if len(u.faults) < 10 {
		u.faults = append(u.faults, err)
	} else {
		u.more++
	}
}

// at adds the file and the line number to err.
func (f *File) at(number int, err error) error {
	return fmt.Errorf("portal: users: %s, line %d: %w", f.Path, number, err)
}
