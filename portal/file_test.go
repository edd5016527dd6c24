package portal_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/portal"
)

func TestFile(t *testing.T) {
	const text = "# comment:x\n\n \t\nann:" + bcryptOfX + "\r\nbob:" + pbkdf2OfX + ":1:2:::\n" +
		"ANN:" + pbkdf2OfX + "\n" + "eve\x01:" + bcryptOfX + "\nzoë:" + bcryptOfX
	users := &portal.File{Path: writeUsers(t, text)}
	folded := &portal.File{Path: users.Path, CaseInsensitive: true}
	long := strings.Repeat("x", 1<<10)
	for _, tt := range []struct {
		reason         string
		users          *portal.File
		user, password string
		subject        string // if empty, the login is wrong
	}{
		{reason: "right", users: users, user: "ann", password: "x", subject: "ann"},
		{reason: "more columns, as in a shadow file", users: users, user: "bob", password: "x",
			subject: "bob"},
		{reason: "the last line has no end", users: users, user: "zoë", password: "x",
			subject: "zoë"},
		{reason: "wrong", users: users, user: "ann", password: "y"},
		{reason: "nothing", users: users, user: "ann"},
		{reason: "another case is another user", users: users, user: "ANN", password: "x",
			subject: "ANN"},
		{reason: "or nobody", users: users, user: "Ann", password: "x"},
		{reason: "unless folded", users: folded, user: "Ann", password: "x", subject: "ann"},
		{reason: "capitals of others", users: folded, user: "ZOË", password: "x", subject: "zoë"},
		{reason: "unknown", users: users, user: "joe", password: "x"},
		{reason: "a comment", users: users, user: "# comment", password: "x"},
		{reason: "a name with a control character", users: users, user: "eve\x01", password: "x"},
		{reason: "anonymous by name, S11", users: users, user: portal.AnonymousSubject},
		{reason: "no name", users: users, password: "x"},
		{reason: "a name with a NUL, S11", users: users, user: "ann\x00", password: "x"},
		{reason: "a name with a colon, S11", users: users, user: "ann:" + bcryptOfX, password: "x"},
		{reason: "a name that is no UTF-8, S11", users: users, user: "ann\xff", password: "x"},
		{reason: "a long name, S11", users: users, user: long, password: "x"},
		{reason: "1 MiB of password, S11", users: users, user: "ann",
			password: strings.Repeat(long, 1<<10)},
	} {
		wants(t, tt.reason, tt.users, password(tt.user, tt.password), tt.subject)
	}
}

// An account that was closed by emptying its password stays closed, even if a later line has the
// same name.
func TestFileClosedAccount(t *testing.T) {
	const text = "ann:\nann:x\nbob:  \nbob:x\neve\neve:x\n"
	path := writeUsers(t, text)
	for _, users := range []*portal.File{
		{Path: path, PlainText: true},
		{Path: path, Verify: func(string, creds.Secret, string) bool { return true }},
	} {
		wants(t, "closed", users, password("ann", "x"), "")
		wants(t, "closed, and nothing typed", users, password("ann", ""), "")
		wants(t, "closed by blanks", users, password("bob", "x"), "")
		wants(t, "a line without a column for the password", users, password("eve", "x"), "eve")
		err := users.Load()
		if text := fmt.Sprint(err); !strings.Contains(text, "line 5: no name, or no column") ||
			strings.Contains(text, "line 1:") || strings.Contains(text, "line 3:") {
			t.Errorf("%v, want line 5, and no closed account", err)
		}
	}
}

func TestFileUnhandled(t *testing.T) {
	hashed := &portal.File{Path: writeUsers(t, "ann:"+bcryptOfX)}
	inClear := &portal.File{Path: writeUsers(t, "ann:canary-c1ear"), PlainText: true}
	response := portal.Response{User: "ann", Matches: func(p creds.Secret) bool {
		return string(p) == "canary-c1ear"
	}}
	for _, c := range []portal.Credentials{nil, portal.Anonymous{}, response} {
		got, err := hashed.Check(t.Context(), c)
		if got != "" || !errors.Is(err, portal.ErrUnhandled) {
			t.Errorf("%T: %q, %v", c, got, err)
		}
	}
	wants(t, "a challenge needs the password in clear", inClear, response, "ann")
	response.User = "bob"
	wants(t, "of somebody else", inClear, response, "")
	response.User, response.Matches = "ann", nil
	wants(t, "that matches nothing", inClear, response, "")
}

// If a file cannot be read, its users are unknown, so the password must not be reported as wrong. A
// missing file has no users.
func TestFileCannotDecide(t *testing.T) {
	dir := t.TempDir()
	big := filepath.Join(dir, "big")
	if err := os.WriteFile(big, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(big, 16<<20+1); err != nil {
		t.Fatal(err)
	}
	good := writeUsers(t, "ann:"+bcryptOfX)
	for _, tt := range []struct {
		reason string
		users  *portal.File
		text   string
	}{
		{"no path", &portal.File{}, "has no Path"},
		{"a folder", &portal.File{Path: dir}, "not a regular file"},
		{"a device, which never ends", &portal.File{Path: os.DevNull}, "not a regular file"},
		{"a file over 16 MiB", &portal.File{Path: big}, "over 16777216 bytes"},
		{"one column", &portal.File{Path: good, UserColumn: 1, PasswordColumn: 1}, "two columns"},
		{"no column", &portal.File{Path: good, PasswordColumn: -1}, "two columns"},
		{"both at once", &portal.File{Path: good, Verify: verifyMD5, PlainText: true},
			"choose one"},
		{"a path that is none", &portal.File{Path: "a\x00b"}, "users"},
	} {
		for _, user := range []string{"ann", "nobody"} {
			got, err := tt.users.Check(t.Context(), password(user, "x"))
			if got != "" || err == nil || errors.Is(err, portal.ErrUnauthorized) ||
				errors.Is(err, portal.ErrUnhandled) || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("%s: %q, %v; want %q", tt.reason, got, err, tt.text)
			}
		}
		if err := tt.users.Load(); err == nil || !strings.Contains(err.Error(), tt.text) {
			t.Errorf("%s: Load: %v", tt.reason, err)
		}
	}
	users := &portal.File{Path: filepath.Join(dir, "none")}
	err := wants(t, "no file", users, password("ann", "x"), "")
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the log is not told why: %v", err)
	}
	err = users.Load()
	if !errors.Is(err, fs.ErrNotExist) || errors.Is(err, portal.ErrUnauthorized) {
		t.Errorf("Load: %v", err)
	}
}

func TestFileLoad(t *testing.T) {
	hashed := func(path string) *portal.File { return &portal.File{Path: path} }
	plain := func(path string) *portal.File { return &portal.File{Path: path, PlainText: true} }
	folded := func(path string) *portal.File {
		return &portal.File{Path: path, CaseInsensitive: true}
	}
	named := func(path string) *portal.File {
		return &portal.File{Path: path, PlainText: true, PasswordColumn: 1}
	}
	third := func(path string) *portal.File {
		return &portal.File{Path: path, PlainText: true, PasswordColumn: 2}
	}
	for _, tt := range []struct {
		reason, text string
		with         func(path string) *portal.File
		want         string // if empty, no error
	}{
		{"good", "# x\n\nann:" + bcryptOfX + "\n", hashed, ""},
		{"empty", "", hashed, ""},
		{"twice, of which the first counts", "ann:" + bcryptOfX + "\nann:" + bcryptOfX, hashed,
			"line 2: a second line"},
		{"of two cases", "ann:" + bcryptOfX + "\nANN:" + bcryptOfX, hashed, ""},
		{"which are the same", "ann:" + bcryptOfX + "\nANN:" + bcryptOfX, folded,
			"line 2: a second line"},
		{"a blank before a name", " ann:" + bcryptOfX, hashed, "line 1: a name with blanks"},
		{"a blank behind it", "ann :" + bcryptOfX, hashed, "line 1: a name with blanks"},
		{"a mark, which editors hide", "\ufeffann:" + bcryptOfX, hashed, "line 1: a byte order"},
		{"elsewhere it is like any other character", "ann\ufeff:" + bcryptOfX, hashed, ""},
		{"a blank within", "ann lee:" + bcryptOfX, hashed, ""},
		{"no password", "\nann\n", hashed, "line 2: no name, or no column"},
		{"an account that is closed", "ann:\nbob:!\njoe:*\neve:!" + bcryptOfX, hashed, ""},
		{"a password that begins like a lock", "ann:!x", plain, ""},
		{"no name", ":" + bcryptOfX, hashed, "line 1: no name, or no column"},
		{"a name that nobody can have", "a\x00b:" + bcryptOfX, hashed, "line 1: a name"},
		{"a long line", "x:y\n# " + strings.Repeat("x", 4<<10) + "\n", plain,
			"line 2: a line over"},
		{"a line of the bound", "# " + strings.Repeat("x", 4<<10-2) + "\r\nann:x", plain, ""},
		{"a password in clear", "ann:canary-c1ear", hashed, "line 1: a password in clear"},
		{"which is good where that is said", "ann:canary-c1ear", plain, ""},
		{"a password that would be cut", "ann:canary-c1ear:more", plain, "line 1: a password with"},
		{"also in named columns", "ann:canary-c1ear:more", named, "line 1: a password with"},
		{"columns that nobody looks at", "ann:1000:canary-c1ear:more", third, ""},
		{"a password over the bound", "ann:" + strings.Repeat("x", 1025), plain, "over 1024 bytes"},
	} {
		err := tt.with(writeUsers(t, tt.text)).Load()
		text := fmt.Sprint(err)
		if (err == nil) != (tt.want == "") || !strings.Contains(text, tt.want) && err != nil ||
			strings.Contains(text, "canary-") {
			t.Errorf("%s: %v; want %q", tt.reason, err, tt.want)
		}
	}
	err := hashed(writeUsers(t, strings.Repeat("ann\n", 1000))).Load()
	text := fmt.Sprint(err)
	if strings.Count(text, "line ") != 10 || !strings.HasSuffix(text, ": and 990 more") {
		t.Errorf("tells of %s; want 10 lines and how many more", text)
	}
}

// A long line does not hide the user in the next line, and text within it does not count as a user.
func TestFileLongLine(t *testing.T) {
	text := "# " + strings.Repeat("x", 3*4096-2) + "eve:" + bcryptOfX + "\nann:" + bcryptOfX + "\n"
	users := &portal.File{Path: writeUsers(t, text)}
	wants(t, "behind it", users, password("ann", "x"), "ann")
	wants(t, "within it", users, password("eve", "x"), "")
}

// The file is read again once it has changed, and only then.
func TestFileCache(t *testing.T) {
	path := writeUsers(t, "ann:one\n")
	users := &portal.File{Path: path, PlainText: true}
	wants(t, "at first", users, password("ann", "one"), "ann")

	write := func(text string, at time.Time) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if at.IsZero() {
			return
		}
		if err := os.Chtimes(path, time.Time{}, at); err != nil {
			t.Fatal(err)
		}
	}
	write("ann:two\n", time.Time{})
	wants(t, "a change at once, in the same size", users, password("ann", "two"), "ann")
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	write("ann:sex\n", info.ModTime())
	wants(t, "a change within the same tick", users, password("ann", "sex"), "ann")

	old := time.Now().Add(-time.Hour).Truncate(time.Second)
	write("ann:ten\n", old)
	wants(t, "an old file", users, password("ann", "ten"), "ann")
	write("ann:six\n", old)
	wants(t, "is not read at each login", users, password("ann", "ten"), "ann")
	write("ann:seven\n", old)
	wants(t, "a size changes", users, password("ann", "seven"), "ann")
	write("ann:eight\n", old.Add(time.Second))
	wants(t, "a time changes", users, password("ann", "eight"), "ann")

	other := writeUsers(t, "ann:seven\n")
	if err := os.Chtimes(other, time.Time{}, old.Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(other, path); err != nil {
		t.Fatal(err)
	}
	wants(t, "another file of that time and size", users, password("ann", "seven"), "ann")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	wants(t, "the file is gone", users, password("ann", "seven"), "")
}

// No more than Hashing passwords are hashed at once; the other logins wait until their deadline.
func TestFileHashing_S11(t *testing.T) {
	path := writeUsers(t, "ann:x\n")
	synctest.Test(t, func(t *testing.T) {
		now, most := make(chan int, 1), 0
		now <- 0
		users := &portal.File{
			Path: path, Hashing: 3, Wait: time.Minute,
			Verify: func(string, creds.Secret, string) bool {
				n := <-now + 1
				most = max(most, n)
				now <- n
				time.Sleep(time.Second)
				now <- <-now - 1
				return true
			},
		}
		ctx, cancel := context.WithTimeoutCause(t.Context(), 2500*time.Millisecond, errTooLate)
		defer cancel()
		errs := make(chan error)
		for range 12 {
			go func() {
				_, err := users.Check(ctx, password("ann", "x"))
				errs <- err
			}()
		}
		var late int
		for range 12 {
			switch err := <-errs; {
			case errors.Is(err, errTooLate) && !errors.Is(err, portal.ErrUnauthorized):
				late++
			case err != nil:
				t.Error(err)
			}
		}
		if most != 3 || late != 3 {
			t.Errorf("%d at once, %d too late; want 3 and 3", most, late)
		}
		if _, err := users.Check(ctx, password("ann", "x")); !errors.Is(err, errTooLate) {
			t.Errorf("with time over: %v", err)
		}
	})
}

var errTooLate = errors.New("too late")

func FuzzFile(f *testing.F) {
	var vectors credVectors
	load(f, "cred.json", &vectors)
	for _, text := range vectors.Files {
		f.Add(text, "alice", "one", ":", 0, 1)
		f.Add(text, "alice", "one", " ", 3, 0)
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text, user, given, delimiter string, userColumn, column int) {
		path := filepath.Join(dir, "users")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		users := &portal.File{
			Path: path, PlainText: true,
			Delimiter: delimiter, UserColumn: userColumn % 8, PasswordColumn: column % 8,
		}
		got, err := users.Check(t.Context(), password(user, given))
		if err != nil {
			return
		}
		// If a login succeeds, there must be a line with its name and password.
		if got != user || user == "" || given == "" ||
			!strings.Contains(text, user) || !strings.Contains(text, given) {
			t.Errorf("%q got in as %q with %q", user, got, given)
		}
		for line := range strings.Lines(text) {
			if !strings.HasPrefix(line, "#") && strings.Contains(line, user) &&
				strings.Contains(line, given) {
				return
			}
		}
		t.Errorf("%q got in by no line", user)
	})
}

func FuzzStoredHash(f *testing.F) {
	var vectors struct {
		Hashes []struct{ Stored string }
	}
	load(f, "hashes.json", &vectors)
	for _, row := range vectors.Hashes {
		f.Add(row.Stored)
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, stored string) {
		path := filepath.Join(dir, "users")
		if err := os.WriteFile(path, []byte("ann:"+stored), 0o600); err != nil {
			t.Fatal(err)
		}
		err := (&portal.File{Path: path}).Load() // must not panic
		if err != nil && len(stored) > 20 && strings.Contains(err.Error(), stored) {
			t.Errorf("the error repeats the hash: %v", err)
		}
	})
}

// settle makes a file old enough not to be read again at each login.
func settle(t testing.TB, path string) {
	t.Helper()
	if err := os.Chtimes(path, time.Time{}, time.Now().Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
}
