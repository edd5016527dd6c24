package portal_test

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-go/countersign/portal"
)

// A file whose modification time lies in the future must not be parsed at each login until that
// time.
func TestFileOfTheFuture_S11(t *testing.T) {
	path := writeUsers(t, "ann:one\n")
	ahead := time.Now().Add(time.Hour).Truncate(time.Second)
	write := func(text string, at time.Time) {
		writeTo(t, path, text)
		if err := os.Chtimes(path, time.Time{}, at); err != nil {
			t.Fatal(err)
		}
	}
	// The clock of the bubble is years behind.
	synctest.Test(t, func(t *testing.T) {
		users := &portal.File{Path: path, PlainText: true}
		write("ann:one\n", ahead)
		wants(t, "at first", users, password("ann", "one"), "ann")
		write("ann:not\n", ahead)
		wants(t, "a change at once", users, password("ann", "not"), "ann")
		time.Sleep(2 * time.Second)
		write("ann:two\n", ahead)
		wants(t, "a change within the same tick", users, password("ann", "two"), "ann")
		time.Sleep(time.Millisecond)
		wants(t, "it has settled", users, password("ann", "two"), "ann")
		write("ann:ten\n", ahead)
		wants(t, "so it is not read again", users, password("ann", "two"), "ann")
		write("ann:six\n", ahead.Add(time.Second))
		wants(t, "a time changes", users, password("ann", "six"), "ann")
		write("ann:one\n", ahead.Add(time.Second))
		wants(t, "and has to settle", users, password("ann", "one"), "ann")
	})
}

// Users who can write to the file can let themselves in. Users who can read passwords in clear text
// have them.
func TestFilePermissions_K9(t *testing.T) {
	if runtime.GOOS == "windows" {
		return // Windows has no such permissions
	}
	for _, tt := range []struct {
		mode  os.FileMode
		plain bool
		want  string // if empty, no error
	}{
		{0o644, false, ""}, {0o664, false, ""}, {0o646, false, "chmod o-w"},
		{0o600, true, ""}, {0o400, true, ""},
		{0o640, true, "chmod 600"}, {0o604, true, "chmod 600"}, {0o602, true, "chmod o-w"},
	} {
		users := &portal.File{Path: writeUsers(t, "ann:"+bcryptOfX+"\n"), PlainText: tt.plain}
		if err := os.Chmod(users.Path, tt.mode); err != nil {
			t.Fatal(err)
		}
		settle(t, users.Path)
		err := users.Load()
		if text := fmt.Sprint(err); (err == nil) != (tt.want == "") ||
			err != nil && !strings.Contains(text, tt.want) {
			t.Errorf("%o, PlainText %t: %v; want %q", tt.mode, tt.plain, err, tt.want)
		}
		given := map[bool]string{true: bcryptOfX, false: "x"}[tt.plain]
		wants(t, "a login goes on", users, password("ann", given), "ann")
		if err := os.Chmod(users.Path, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := users.Load(); err != nil {
			t.Errorf("%o, PlainText %t, and then closed: %v", tt.mode, tt.plain, err)
		}
	}
}
