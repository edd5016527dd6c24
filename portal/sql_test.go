package portal_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/portal"
)

// A fakeDB is a database with one table and one query. It is a driver of package sql.
type fakeDB struct {
	rows  func(name string) [][]driver.Value
	err   error // of the query
	after error // after the rows

	mu      sync.Mutex // guards all below
	queries []string   // in the order of arrival
	args    []driver.Value
}

// open returns the database as package sql opens it.
func (db *fakeDB) open(t testing.TB) *sql.DB {
	t.Helper()
	opened := db.db()
	t.Cleanup(func() { opened.Close() })
	return opened
}

func (db *fakeDB) db() *sql.DB { return sql.OpenDB(fakeConnector{db, "canary-d5n"}) }

// A fakeConnector holds the credentials for the database, as real ones do.
type fakeConnector struct {
	db  *fakeDB
	dsn string
}

func (c fakeConnector) Connect(context.Context) (driver.Conn, error) { return fakeConn{c.db}, nil }
func (fakeConnector) Driver() driver.Driver                          { return nil }

type fakeConn struct{ db *fakeDB }

func (fakeConn) Prepare(string) (driver.Stmt, error) { return nil, errors.New("not prepared") }
func (fakeConn) Close() error                        { return nil }
func (fakeConn) Begin() (driver.Tx, error)           { return nil, errors.New("not begun") }

func (c fakeConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (
	driver.Rows, error) {
	c.db.mu.Lock()
	defer c.db.mu.Unlock()
	c.db.queries = append(c.db.queries, query)
	if len(args) != 1 {
		return nil, fmt.Errorf("%d values, want 1", len(args))
	}
	c.db.args = append(c.db.args, args[0].Value)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return &fakeRows{c.db.rows(args[0].Value.(string)), c.db.after}, c.db.err
}

type fakeRows struct {
	rows  [][]driver.Value
	after error
}

func (r *fakeRows) Columns() []string {
	if len(r.rows) > 0 && len(r.rows[0]) != 2 {
		return make([]string, len(r.rows[0]))
	}
	return []string{"name", "hash"}
}
func (*fakeRows) Close() error { return nil }

func (r *fakeRows) Next(dest []driver.Value) error {
	if len(r.rows) == 0 {
		if r.after != nil {
			return r.after
		}
		return io.EOF
	}
	copy(dest, r.rows[0])
	r.rows = r.rows[1:]
	return nil
}

const usersQuery = "SELECT name, hash FROM users WHERE name = ?"

// table returns a database that compares names regardless of case.
func table(rows ...[]driver.Value) *fakeDB {
	return &fakeDB{rows: func(name string) (found [][]driver.Value) {
		for _, row := range rows {
			if has, ok := row[0].(string); !ok || strings.EqualFold(has, name) {
				found = append(found, row)
			}
		}
		return found
	}}
}

func TestSQL(t *testing.T) {
	db := table(
		[]driver.Value{"Ann", bcryptOfX},
		[]driver.Value{"bob", []byte(pbkdf2OfX)},
		[]driver.Value{"twice", bcryptOfX}, []driver.Value{"twice", bcryptOfX},
		[]driver.Value{"half", bcryptOfX}, []driver.Value{"half", nil},
		[]driver.Value{"null", nil},
		[]driver.Value{"empty", ""},
		[]driver.Value{"clear", "canary-c1ear"},
		[]driver.Value{"o'hara", bcryptOfX},
	)
	users := &portal.SQL{DB: db.open(t), Query: usersQuery}
	for _, tt := range []struct{ reason, user, password, subject, text string }{
		{"right", "Ann", "x", "Ann", ""},
		{"the database names her", "ANN", "x", "Ann", ""},
		{"a hash of bytes", "bob", "x", "bob", ""},
		{"a name with a quote", "o'hara", "x", "o'hara", ""},
		{"wrong", "Ann", "y", "", ""},
		{"nothing", "Ann", "", "", ""},
		{"unknown", "joe", "x", "", ""},
		{"two rows", "twice", "x", "", "two rows"},
		{"two rows, of which one is closed", "half", "x", "", "two rows"},
		{"NULL", "null", "", "", ""},
		{"an empty hash", "empty", "", "", ""},
		{"a password in clear", "clear", "canary-c1ear", "", "a password in clear"},
	} {
		err := wants(t, tt.reason, users, password(tt.user, tt.password), tt.subject)
		if err != nil && tt.text == "" && err != portal.ErrUnauthorized ||
			tt.text != "" && !strings.Contains(err.Error(), tt.text) ||
			strings.Contains(fmt.Sprint(err), "canary-") {
			t.Errorf("%s: %v", tt.reason, err)
		}
	}
}

// Typed text is always sent as a value, and the text of the query stays the same.
func TestSQLInjection(t *testing.T) {
	db := table([]driver.Value{"admin", bcryptOfX})
	users := &portal.SQL{DB: db.open(t), Query: usersQuery}
	attacks := []string{
		"' OR '1'='1", "admin' --", "admin'/*", "'; DROP TABLE users; --", `" OR ""="`,
		"admin\\' OR 1=1 -- ", "' UNION SELECT 'admin', '" + bcryptOfX + "' --", "%", "adm_n", "?",
		"$1", ":name", "@name", "{{.}}", "%s%n", "admin ", "ádmin", "ʼ OR 1=1 --", "0x61646d696e",
	}
	wants(t, "right", users, password("admin", "x"), "admin")
	db.args, db.queries = nil, nil
	for _, attack := range attacks {
		wants(t, attack, users, password(attack, "x"), "")
	}
	if len(db.args) != len(attacks) {
		t.Fatalf("%d queries, want %d", len(db.args), len(attacks))
	}
	for i, attack := range attacks {
		if db.args[i] != attack || db.queries[i] != usersQuery {
			t.Errorf("%q arrives as %q in %q", attack, db.args[i], db.queries[i])
		}
	}
	for _, name := range []string{"", "admin\x00", "a\nb", "\xff", strings.Repeat("x", 256)} {
		wants(t, name, users, password(name, "x"), "")
	}
	wants(t, "1 MiB, S11", users, password("admin", strings.Repeat("x", 1<<20)), "")
	if len(db.args) != len(attacks) {
		t.Error("what is no name or no password goes to the database")
	}
}

// If the database fails, the password is neither right nor wrong.
func TestSQLCannotDecide(t *testing.T) {
	errDown := errors.New("down")
	ok := table([]driver.Value{"ann", bcryptOfX})
	down := table()
	down.err = errDown
	breaks := table([]driver.Value{"ann", bcryptOfX})
	breaks.after = errDown
	three := table([]driver.Value{"ann", bcryptOfX, true})
	for _, tt := range []struct {
		reason string
		users  *portal.SQL
		want   error // if nil, any error
	}{
		{"down", &portal.SQL{DB: down.open(t), Query: usersQuery}, errDown},
		{"breaks off", &portal.SQL{DB: breaks.open(t), Query: usersQuery}, errDown},
		{"three columns", &portal.SQL{DB: three.open(t), Query: usersQuery}, nil},
		{"no database", &portal.SQL{Query: usersQuery}, nil},
		{"no query", &portal.SQL{DB: ok.open(t)}, nil},
		{"two ways to compare", &portal.SQL{DB: ok.open(t), Query: usersQuery, PlainText: true,
			Verify: verifyMD5}, nil},
	} {
		got, err := tt.users.Check(t.Context(), password("ann", "x"))
		if got != "" || err == nil || errors.Is(err, portal.ErrUnauthorized) ||
			errors.Is(err, portal.ErrUnhandled) || tt.want != nil && !errors.Is(err, tt.want) {
			t.Errorf("%s: %q, %v", tt.reason, got, err)
		}
	}
	users := &portal.SQL{DB: ok.open(t), Query: usersQuery}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := users.Check(ctx, password("ann", "x")); !errors.Is(err, context.Canceled) {
		t.Errorf("a call that has ended: %v", err)
	}
}

func TestSQLUnhandled(t *testing.T) {
	db := table([]driver.Value{"ann", "canary-c1ear"})
	hashed := &portal.SQL{DB: db.open(t), Query: usersQuery}
	plain := &portal.SQL{DB: db.open(t), Query: usersQuery, PlainText: true}
	response := portal.Response{User: "ann", Matches: func(p creds.Secret) bool {
		return string(p) == "canary-c1ear"
	}}
	for _, c := range []portal.Credentials{nil, portal.Anonymous{}, response} {
		got, err := hashed.Check(t.Context(), c)
		if got != "" || !errors.Is(err, portal.ErrUnhandled) {
			t.Errorf("%T: %q, %v", c, got, err)
		}
	}
	wants(t, "in clear", plain, password("ann", "canary-c1ear"), "ann")
	wants(t, "wrong", plain, password("ann", "canary-0ther"), "")
	wants(t, "a challenge", plain, response, "ann")
}

func TestSQLHashing_S11(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		users := &portal.SQL{
			DB: table([]driver.Value{"ann", "x"}).open(t), Query: usersQuery,
			Hashing: 1, Wait: time.Minute,
			Verify: func(string, creds.Secret, string) bool {
				time.Sleep(time.Second)
				return true
			},
		}
		start := time.Now()
		errs := make(chan error)
		for range 3 {
			go func() {
				_, err := users.Check(t.Context(), password("ann", "x"))
				errs <- err
			}()
		}
		for range 3 {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
		if took := time.Since(start); took != 3*time.Second {
			t.Errorf("three took %v, want one after the other", took)
		}
		users.DB.Close() // in the bubble where it was opened
	})
}
