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

// File is a [Checker] of [Password] against a file with one user on each line, as htpasswd and
// Cred's FilePasswordDB have it: the name and the hash of the password, with a colon between. It
// is used by pointer, and its fields must not be changed once it is in use.
//
// Blanks at the end of a line do not count, and those at its beginning do. Empty lines are skipped,
// and so are lines that begin with #, that have too few columns, or whose name is empty. An empty
// password is a closed account, and so is, in the formats of the package comment, one that begins
// with ! or *. Of two lines with the same name the first counts, closed or not. A file has up to
// 16 MiB, and a line up to 4 KiB.
//
// A line of nine columns, of which the third to the eighth are numbers or empty, is taken for one
// of a shadow file (shadow(5)): its user is refused once the account or the password has expired,
// and while the password must be changed. That is so where the Delimiter is a colon and the name
// and the password are in the first two columns, and not with PlainText.
//
// The file is read again once it has changed, so users come and go without a restart. Replace it by
// renaming a new one over it: what is written in place can be read half written.
//
// A name that is not in the file takes as long as one that is: its password is compared with the
// hash of another line, and whatever comes out is wrong. There are up to 64 such lines, and a name
// keeps its own while that line stays and the program runs, whoever comes or goes besides; with
// fewer users, one who comes can take over some names.
type File struct {
	Path string // required

	Delimiter string // what is between the columns; "": a colon
	// UserColumn and PasswordColumn count from 0. Both 0: the name is in the first column, and the
	// password in the second. Columns behind them are not looked at, but in a shadow file.
	UserColumn, PasswordColumn int
	// CaseInsensitive makes no difference between capitals and small letters in names. The subject
	// is then in small letters.
	CaseInsensitive bool

	// Verify reports whether the given password is the one that was stored as the text in the file,
	// for formats of one's own. It is called also where there is no such user, with the text of
	// another line, and is safe for concurrent use. While no line is good it is not called, as then
	// there is no user to hide. It should look at all of what is given and compare by
	// crypto/subtle. nil: the formats in the package comment.
	Verify func(user string, given creds.Secret, stored string) bool
	// PlainText says that the file has passwords in clear, so whoever reads it, or a backup of it,
	// has them all. Then a [Response] is judged too. With nothing behind the password column, a
	// password still ends at the delimiter; where the columns are the first two, [File.Load] tells
	// about such lines.
	PlainText bool

	// Hashing is how many passwords are hashed at once, each at the cost in time and memory that
	// its line says. If 0, as many as there are processors.
	Hashing int
	// Wait is how long a login waits until it is among those. Beyond that it fails with [ErrBusy],
	// so a flood of wrong passwords makes others fail soon instead of wait long; an auth.Limiter in
	// front keeps the flood out. If 0, 750 ms. If negative, it does not wait.
	Wait time.Duration

	keys  keys // which line stands for a name that is not there
	slots slots
	read  atomic.Pointer[users] // as the file was when it was last read; nil: not yet
}

// Users are what was read from a file. They are not changed afterwards.
type users struct {
	info    fs.FileInfo // of what was read
	since   time.Time   // when a file with this info was first read
	settled bool        // a file that has changed since cannot have the same info
	byName  map[string]*stored
	decoys  decoys  // of those that are good
	unlike  *stored // for all names where none is good
	faults  []error // the first few
	more    int     // how many there are besides
}

// Kinds returns the type of Password, and that of Response with PlainText.
func (f *File) Kinds() []reflect.Type { return passwordKinds(f.PlainText) }

// Load reads the file, and returns an error for all in it that keeps somebody out by mistake: lines
// without a name or a column for the password, in a format that is not supported, or that cost too
// much, a second line of one name, or a name with blanks around it. A closed account is none. It
// also returns an error for a file that everybody can write to or, with PlainText, that others than
// its owner can read. A program calls it when it starts, to tell whoever writes the file; at a
// login such a line is only a wrong password, and the permissions are not looked at.
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

// shared returns an error for a file that is open to those who should not have it.
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

// Check returns the name of the user as it is in the file, or in small letters with
// CaseInsensitive. A file that is not there has no users: the error is both [ErrUnauthorized] and
// [fs.ErrNotExist]. A file that cannot be read is another error, since nobody can tell.
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

// CheckPassword is Check for a [Password].
func (f *File) CheckPassword(
	ctx context.Context, user string, password creds.Secret) (subject string, err error) {
	return f.Check(ctx, Password{user, password})
}

// decoy returns what is compared with instead for somebody who is not in the file. Were it the same
// for all names, a file with several formats would tell by the time who is in it.
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

// settling is how long after its time a file must have been read to be taken for finished: some
// file systems count time in steps of two seconds, and a second change within the same step could
// leave time and size as they were. Where the clocks disagree, and the time of the file lies ahead,
// it is as long since the file was first read with that time.
const settling = 2 * time.Second

// same reports whether info is that of the file that u was read from.
func (u *users) same(info fs.FileInfo) bool {
	return os.SameFile(info, u.info) && info.Size() == u.info.Size() &&
		info.Mode() == u.info.Mode() && info.ModTime().Equal(u.info.ModTime())
}

// users returns what the file has, reading it if it may have changed.
func (f *File) users() (*users, error) {
	if f.Path == "" { // else it would be a file that is not there, and so has no users
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

// load reads the file. info is asked before it is opened, since opening a pipe would wait for
// whoever writes to it.
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
	// What goes beyond the bound was written after it was asked for the size.
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

// at says where an error is.
func (f *File) at(number int, err error) error {
	return fmt.Errorf("portal: users: %s, line %d: %w", f.Path, number, err)
}
