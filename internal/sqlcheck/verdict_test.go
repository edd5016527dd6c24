package sqlcheck

import (
	"crypto/subtle"
	"errors"
	"strings"
	"testing"

	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/portal"
)

// judges checks that the checker names subject, or finds the credentials wrong if subject is empty.
func judges(t *testing.T, reason string, checker portal.Checker, user, given, subject string) {
	t.Helper()
	got, err := checker.Check(t.Context(), password(user, given))
	if got != subject || (err == nil) != (subject != "") ||
		err != nil && !errors.Is(err, portal.ErrUnauthorized) {
		t.Errorf("%s: %q, %v; want %q", reason, got, err, subject)
	}
}

func TestVerdicts(t *testing.T) {
	x := hashed(t, "x")
	each(t, func(t *testing.T, d database) {
		db := d.users(t, [][2]any{
			{"ann", x}, {"o'hara", x}, {"jörg", x}, {"padded ", x}, {"%", x},
			{"twice", x}, {"twice", x}, {"half", x}, {"half", nil},
			{"null", nil}, {nil, x}, {"empty", ""}, {"blank", " "}, {"", x}, {"clear", "x"},
		}...)
		for _, query := range d.placeholders {
			users := &portal.SQL{DB: db, Query: query}
			for _, tt := range []struct{ reason, user, password, subject string }{
				{"right", "ann", "x", "ann"},
				{"a name with a quote", "o'hara", "x", "o'hara"},
				{"a name beyond ASCII", "jörg", "x", "jörg"},
				{"a name with a blank", "padded ", "x", "padded "},
				{"no blank", "padded", "x", ""},
				{"a blank too many", "ann ", "x", ""},
				{"another normal form", "jo\u0308rg", "x", ""},
				{"a name that is a pattern elsewhere", "%", "x", "%"},
				{"wrong", "ann", "y", ""},
				{"no password", "ann", "", ""},
				{"the hash itself", "ann", x, ""},
				{"unknown", "joe", "x", ""},
				{"other capitals", "Ann", "x", ""},
				{"two rows", "twice", "x", ""},
				{"two rows, of which one is closed", "half", "x", ""},
				{"NULL for a hash", "null", "x", ""},
				{"NULL for a hash, and nothing typed", "null", "", ""},
				{"an empty hash", "empty", "", ""},
				{"a blank for a hash", "blank", " ", ""},
				{"no name", "", "x", ""},
				{"NULL is no word", "NULL", "x", ""},
				{"in clear", "clear", "x", ""},
			} {
				judges(t, tt.reason, users, tt.user, tt.password, tt.subject)
			}
		}
	})
}

// Users are added and removed, and change their passwords, between logins.
func TestChanges(t *testing.T) {
	each(t, func(t *testing.T, d database) {
		db := d.users(t)
		users := &portal.SQL{DB: db, Query: d.query()}
		judges(t, "not there", users, "ann", "x", "")
		d.add(t, db, "ann", hashed(t, "x"))
		judges(t, "there", users, "ann", "x", "ann")
		execute(t, db, "UPDATE users SET hash = $1", hashed(t, "y"))
		judges(t, "the old password", users, "ann", "x", "")
		judges(t, "the new password", users, "ann", "y", "ann")
		execute(t, db, "UPDATE users SET hash = NULL")
		judges(t, "closed", users, "ann", "y", "")
		execute(t, db, "DELETE FROM users")
		judges(t, "gone", users, "ann", "y", "")
	})
}

// The subject is the name that the database returns, including its case.
func TestSubject(t *testing.T) {
	x := hashed(t, "x")
	each(t, func(t *testing.T, d database) {
		anycase := "CREATE TABLE folded (name text COLLATE NOCASE, hash text)"
		if d.name == "PostgreSQL" {
			anycase = "CREATE TABLE folded (name citext, hash text)"
		}
		db := d.users(t, [2]any{"Ann", x}, [2]any{"Bob", x}, [2]any{"bob", x})
		execute(t, db, anycase)
		execute(t, db, "INSERT INTO folded SELECT name, hash FROM users")
		execute(t, db, "CREATE TABLE people (id bigint, mail text, hash text)")
		execute(t, db, "INSERT INTO people VALUES (17, 'ann@example.org', $1)", x)
		for _, tt := range []struct{ reason, query, user, subject string }{
			{"lower()", "SELECT name, hash FROM users WHERE lower(name) = lower($1)", "aNN", "Ann"},
			{"a column without case", "SELECT name, hash FROM folded WHERE name = $1",
				"aNN", "Ann"},
			{"the name in small letters", "SELECT lower(name), hash FROM folded WHERE name = $1",
				"ANN", "ann"},
			{"two of one name but for case", "SELECT name, hash FROM folded WHERE name = $1",
				"bob", ""},
			{"a number", "SELECT id, hash FROM people WHERE mail = $1", "ann@example.org", "17"},
			{"what was typed does not count", "SELECT id, hash FROM people WHERE mail = $1",
				"17", ""},
			{"the same value twice", "SELECT name, hash FROM users WHERE name = $1 OR name = $1",
				"Ann", "Ann"},
		} {
			judges(t, tt.reason, &portal.SQL{DB: db, Query: tt.query}, tt.user, "x", tt.subject)
		}
	})
}

// The hash may be in a column of bytes, of text, or of other text types.
func TestColumnTypes(t *testing.T) {
	x := hashed(t, "x")
	each(t, func(t *testing.T, d database) {
		for _, kind := range []string{d.binary, "text", "varchar(100)", "char(60)"} {
			t.Run(kind, func(t *testing.T) {
				db := d.open(t)
				execute(t, db, "CREATE TABLE users (name varchar(40), hash "+kind+")")
				var stored any = x
				if kind == d.binary {
					stored = []byte(x)
				}
				d.add(t, db, "ann", stored)
				users := &portal.SQL{DB: db, Query: d.query()}
				judges(t, "right", users, "ann", "x", "ann")
				judges(t, "wrong", users, "ann", "y", "")
			})
		}
	})
}

// A table as in books on Cred, with passwords that only the program can compare.
func TestOwnFormat(t *testing.T) {
	each(t, func(t *testing.T, d database) {
		db := d.open(t)
		execute(t, db, "CREATE TABLE users (username text, password text)")
		execute(t, db, "INSERT INTO users VALUES ('ann', 'canary-c1ear'), ('null', NULL)")
		query := strings.ReplaceAll(d.query(), "name", "username")
		query = strings.ReplaceAll(query, "hash", "password")
		verify := func(user string, given creds.Secret, stored string) bool {
			return user == "ann" && subtle.ConstantTimeCompare(given, []byte(stored)) == 1
		}
		for _, users := range []*portal.SQL{
			{DB: db, Query: query, Verify: verify}, {DB: db, Query: query, PlainText: true},
		} {
			judges(t, "right", users, "ann", "canary-c1ear", "ann")
			judges(t, "wrong", users, "ann", "canary-0ther", "")
			judges(t, "NULL", users, "null", "", "")
		}
	})
}
