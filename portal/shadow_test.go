package portal_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/portal"
)

// A line copied from a shadow file lets its user in only as long as the system would. The clock of
// the test starts at day 10957, 2000-01-01.
func TestFileShadowAccounts(t *testing.T) {
	const closed, ended, aged = "the account is closed", "the account has expired",
		"the password has expired"
	for _, tt := range []struct {
		reason, columns string // after the hash, as in shadow(5)
		want            string // why the user is refused; if empty, the login succeeds
	}{
		{"as useradd and chpasswd write it", "10900:0:99999:7:::", ""},
		{"no dates at all", "::::::", ""},
		{"expired today", "10900:0:99999:7::10957:", ended},
		{"expires tomorrow", "10900:0:99999:7::10958:", ""},
		{"expired in 1970, as chage -E 0 has it", "10900:0:99999:7::0:", ended},
		{"chage -E -1, as some tools write it", "10900:0:99999:7:-1:-1:", ""},
		{"before 1970", "10900:0:99999:7::-2:", ended},
		{"the password must be changed at the next login", "0:0:99999:7:::", aged},
		{"the last day of a password", "10900:0:57:7:::", ""},
		{"a password that is too old", "10900:0:56:7:::", aged},
		{"too old, within the days of grace", "10900:0:56:7:30::", aged},
		{"an age of no effect", "10900:0:-1:7:::", ""},
		{"no date of the last change", ":0:1:7:::", ""},
		{"a password of tomorrow", "10958:0:1:7:::", ""},
		{"the account comes first", "10900:0:56:7::10900:", ended},
		{"an age beyond all time", "10900:0:" + strings.Repeat("9", 30) + ":7:::", ""},
		{"the last column is reserved", "10900:0:99999:7::10957:x", ended},
		{"columns of another file", "10900:0:99999:7::tomorrow:", ""},
		{"a column less", "10900:0:99999:7::10957", ""},
		{"a column more", "10900:0:99999:7::10957::", ""},
	} {
		path := writeUsers(t, "bob:"+bcryptOfX+"\nann:"+bcryptOfX+":"+tt.columns+"\n")
		synctest.Test(t, func(t *testing.T) {
			users := &portal.File{Path: path}
			if err := users.Load(); err != nil {
				t.Errorf("%s: the file does not load: %v", tt.reason, err)
			}
			for _, given := range []string{"x", "wrong"} {
				subject := "ann"
				if tt.want != "" || given != "x" {
					subject = ""
				}
				err := wants(t, tt.reason, users, password("ann", given), subject)
				if text := fmt.Sprint(err); tt.want != "" && (!strings.Contains(text, tt.want) ||
					!strings.Contains(text, "line 2: ")) {
					t.Errorf("%s: %v, want %q", tt.reason, err, tt.want)
				}
			}
			wants(t, "others go on", users, password("bob", "x"), "bob")
		})
	}
	path := writeUsers(t, "ann:!"+bcryptOfX+":10900:0:99999:7:::\n")
	err := wants(t, "locked", &portal.File{Path: path}, password("ann", "x"), "")
	if !strings.Contains(fmt.Sprint(err), closed) {
		t.Error(err)
	}
}

// An account ends on its day, although the file stays the same.
func TestFileShadowExpiresWhileRunning(t *testing.T) {
	path := writeUsers(t, "ann:"+bcryptOfX+":10900:0:99999:7::10958:\n")
	synctest.Test(t, func(t *testing.T) {
		users := &portal.File{Path: path}
		settle(t, path)
		time.Sleep(24*time.Hour - time.Nanosecond)
		wants(t, "the last moment", users, password("ann", "x"), "ann")
		time.Sleep(time.Nanosecond)
		first := wants(t, "the day", users, password("ann", "x"), "")
		if again := wants(t, "later", users, password("ann", "x"), ""); first != again {
			t.Errorf("%v is made again, which shows in the time", again)
		}
	})
}

// If the file does not have the layout of a shadow file, the columns have another meaning.
func TestFileShadowOtherLayouts(t *testing.T) {
	const line = "ann:canary-x5:10900:0:99999:7::10900:\n"
	verify := func(_ string, given creds.Secret, stored string) bool {
		return string(given) == stored
	}
	for _, tt := range []struct {
		reason, line string
		users        *portal.File
		subject      string
	}{
		{"with Verify too", line, &portal.File{Verify: verify}, ""},
		{"in clear", line, &portal.File{PlainText: true}, "ann"},
		{"another delimiter", strings.ReplaceAll(line, ":", ";"),
			&portal.File{Delimiter: ";", Verify: verify}, "ann"},
		{"another column", "1000:" + line,
			&portal.File{UserColumn: 1, PasswordColumn: 2, Verify: verify}, "ann"},
	} {
		tt.users.Path = writeUsers(t, tt.line)
		wants(t, tt.reason, tt.users, password("ann", "canary-x5"), tt.subject)
	}
}
