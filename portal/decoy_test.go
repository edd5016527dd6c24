package portal_test

import (
	"database/sql/driver"
	"fmt"
	"strings"
	"testing"

	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/portal"
)

// An unknown user, and a user whose line is invalid, cost as much time as a known one: Verify is
// called once for each, and its result is ignored.
func TestFileDecoy_S2(t *testing.T) {
	calls := map[string]string{}
	users := &portal.File{
		Path: writeUsers(t, "ann:1\nbob:2\n"),
		Verify: func(user string, given creds.Secret, stored string) bool {
			calls[user] += stored
			return true
		},
	}
	wants(t, "known", users, password("ann", "x"), "ann")
	for _, user := range []string{"nobody", "nobody", "none", "joe", "jim", "tom", "kim", "pat"} {
		wants(t, user, users, password(user, "x"), "")
	}
	if calls["ann"] != "1" || calls["nobody"] != "11" && calls["nobody"] != "22" {
		t.Errorf("calls: %v", calls)
	}
	if len(calls) != 8 {
		t.Errorf("%d names were compared, want 8", len(calls))
	}
	clear(calls)
	wants(t, "1 KiB and a byte, S11", users, password("ann", strings.Repeat("x", 1025)), "")
	if len(calls) != 0 {
		t.Error("a password over the bound is hashed")
	}
	wants(t, "1 KiB", users, password("ann", strings.Repeat("x", 1024)), "ann")
	empty := &portal.File{Path: writeUsers(t, ""), Verify: users.Verify}
	clear(calls)
	wants(t, "nobody is there at all", empty, password("ann", "x"), "")
	if len(calls) != 0 {
		t.Error("Verify is given a text that nobody stored")
	}
}

// A new user must not change the decoy of other names. Otherwise the time for an unknown name would
// change, and the time for a known one would not.
func TestFileDecoyStays_S2(t *testing.T) {
	var lines strings.Builder
	for i := range 2000 { // enough to fill all cells
		fmt.Fprintf(&lines, "u%d:%d\n", i, i)
	}
	compared := ""
	users := &portal.File{
		Path: writeUsers(t, lines.String()),
		Verify: func(_ string, _ creds.Secret, stored string) bool {
			compared = stored
			return true
		},
	}
	before, differ := map[string]string{}, map[string]bool{}
	for i := range 50 {
		user := fmt.Sprint("nobody", i)
		wants(t, user, users, password(user, "x"), "")
		before[user], differ[compared] = compared, true
	}
	if len(differ) < 5 {
		t.Errorf("50 names have %d decoys", len(differ))
	}
	writeTo(t, users.Path, lines.String()+"eve:e\n")
	for user, want := range before {
		if wants(t, user, users, password(user, "x"), ""); compared != want {
			t.Errorf("%s: compared with %s, and with %s at first", user, compared, want)
		}
	}
}

// An unknown user, and a user who cannot log in, cost as much time as one who can.
func TestSQLDecoy_S2(t *testing.T) {
	db := table(
		[]driver.Value{"ann", "1"}, []driver.Value{"bob", "2"}, []driver.Value{"null", nil},
		[]driver.Value{"twice", "3"}, []driver.Value{"twice", "4"},
	)
	var compared string
	users := &portal.SQL{
		DB: db.open(t), Query: usersQuery,
		Verify: func(_ string, _ creds.Secret, stored string) bool {
			compared += stored
			return true
		},
	}
	for _, tt := range []struct{ user, subject, compared string }{
		{"nobody", "", ""}, {"ann", "ann", "1"}, {"nobody", "", "1"}, {"null", "", "1"},
		{"bob", "bob", "2"}, {"ann", "ann", "1"},
	} {
		compared = ""
		wants(t, tt.user, users, password(tt.user, "x"), tt.subject)
		if compared != tt.compared {
			t.Errorf("%s: compared with %q, want %q", tt.user, compared, tt.compared)
		}
	}
	for _, user := range []string{"null", "twice", "nobody"} {
		compared = ""
		wants(t, user, users, password(user, "x"), "")
		wants(t, user, users, password(user, "x"), "")
		if compared != "11" && compared != "22" {
			t.Errorf("%s: compared with %q, want the same twice", user, compared)
		}
	}
}

// Users who log in must not be able to choose the decoy of an unknown name.
func TestSQLDecoyNotChosen_S2(t *testing.T) {
	var compared string
	users := &portal.SQL{
		DB: (&fakeDB{rows: func(name string) [][]driver.Value {
			if strings.HasPrefix(name, "nobody") {
				return nil
			}
			return [][]driver.Value{{name, "hash of " + name}}
		}}).open(t),
		Query: usersQuery,
		Verify: func(_ string, _ creds.Secret, stored string) bool {
			compared = stored
			return true
		},
	}
	for i := range 2000 { // enough to fill all cells
		wants(t, "a user", users, password(fmt.Sprint("u", i), "x"), fmt.Sprint("u", i))
	}
	for i := range 20 {
		user := fmt.Sprint("nobody", i)
		wants(t, user, users, password(user, "x"), "")
		before := compared
		wants(t, "eve", users, password("eve", "x"), "eve")
		wants(t, user, users, password(user, "x"), "")
		if compared != before || strings.Contains(compared, "eve") {
			t.Errorf("%s: compared with the %s, and with the %s at first", user, compared, before)
		}
	}
}

// The reason why a user cannot log in is built when the file is read. Building it at a login would
// take time, and only for users who exist.
func TestClosedAccountTiming_S2(t *testing.T) {
	users := &portal.File{Path: writeUsers(t, "ann:"+bcryptOfX+"\nbob:!\neve:?\n")}
	settle(t, users.Path)
	for _, given := range []portal.Password{
		password("bob", "x"), password("eve", "x"), password("ann", strings.Repeat("x", 73)),
		password("nobody", strings.Repeat("x", 73)), password("nobody", "x"),
	} {
		first := wants(t, given.User, users, given, "")
		if again := wants(t, given.User, users, given, ""); first != again {
			t.Errorf("%s: %v is made anew", given.User, again)
		}
	}
}
