package sqlcheck

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/countersign-go/countersign/portal"
)

// outage checks that a login ends with an error that is not a verdict, and returns the error.
func outage(ctx context.Context, t *testing.T, reason string, users *portal.SQL) error {
	t.Helper()
	subject, err := users.Check(ctx, password("ann", "x"))
	if subject != "" || err == nil || errors.Is(err, portal.ErrUnauthorized) ||
		errors.Is(err, portal.ErrUnhandled) {
		t.Errorf("%s: %q, %v; want an outage", reason, subject, err)
	}
	return err
}

// If the query cannot run, the password is neither right nor wrong.
func TestBadQueries(t *testing.T) {
	x := hashed(t, "x")
	each(t, func(t *testing.T, d database) {
		db := d.users(t, [2]any{"ann", x})
		for reason, query := range map[string]string{
			"no such table":    "SELECT name, hash FROM people WHERE name = $1",
			"no such column":   "SELECT name, secret FROM users WHERE name = $1",
			"no SQL":           "who is $1",
			"one column":       "SELECT name FROM users WHERE name = $1",
			"three columns":    "SELECT name, hash, 1 FROM users WHERE name = $1",
			"two placeholders": "SELECT name, hash FROM users WHERE name = $1 AND hash = $2",
			"fails half way": "SELECT name, abs(-9223372036854775807 - 1) FROM users " +
				"WHERE name = $1",
			"one statement behind": "SELECT name, hash FROM users WHERE name = $1; DROP nothing",
		} {
			outage(t.Context(), t, reason, &portal.SQL{DB: db, Query: query})
		}
		judges(t, "a good query", &portal.SQL{DB: db, Query: d.query()}, "ann", "x", "ann")
	})
}

// PostgreSQL refuses a query without a placeholder for the name. SQLite's driver does not count
// placeholders, so such a query finds all users, and more than one row means a refusal.
func TestNoPlaceholder(t *testing.T) {
	each(t, func(t *testing.T, d database) {
		db := d.users(t, [2]any{"ann", hashed(t, "x")}, [2]any{"bob", hashed(t, "x")})
		users := &portal.SQL{DB: db, Query: "SELECT name, hash FROM users"}
		if d.name == "SQLite" {
			judges(t, "everybody", users, "ann", "x", "")
			return
		}
		outage(t.Context(), t, "no placeholder", users)
		users.Query = question
		outage(t.Context(), t, "the placeholder of others", users)
	})
}

func TestTableComesBack(t *testing.T) {
	each(t, func(t *testing.T, d database) {
		db := d.users(t, [2]any{"ann", hashed(t, "x")})
		users := &portal.SQL{DB: db, Query: d.query()}
		judges(t, "before", users, "ann", "x", "ann")
		execute(t, db, "ALTER TABLE users RENAME TO kept")
		outage(t.Context(), t, "no table", users)
		execute(t, db, "ALTER TABLE kept RENAME TO users")
		judges(t, "after", users, "ann", "x", "ann")
	})
}

// A server that cannot be reached, a missing database, or a file that is not a database does not
// lead to a verdict either.
func TestNoDatabase(t *testing.T) {
	dir := t.TempDir()
	garbage := filepath.Join(dir, "garbage.db")
	text := strings.Repeat("no database ", 1000)
	if err := os.WriteFile(garbage, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	closed := openSQLite(t)
	closed.Close()
	for _, tt := range []struct {
		reason string
		db     *sql.DB
	}{
		{"no server", openDB(t, "pgx", "postgres:///postgres?user=postgres&host="+dir)},
		{"no such role", openDB(t, "pgx", postgresURL(t)+"&user=nobody")},
		{"no database", openDB(t, "sqlite3", garbage)},
		{"no folder", openDB(t, "sqlite3", filepath.Join(dir, "none", "users.db"))},
		{"closed", closed},
	} {
		outage(t.Context(), t, tt.reason, &portal.SQL{DB: tt.db, Query: dollar})
	}
}

// A login that waits for the database ends with its context.
func TestDeadline(t *testing.T) {
	slow := map[string]string{
		"PostgreSQL": "SELECT name, hash FROM users, pg_sleep(20) WHERE name = $1",
		"SQLite": "WITH RECURSIVE n(i) AS " +
			"(SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3e7) " +
			"SELECT name, hash FROM users WHERE name = $1 AND (SELECT max(i) FROM n) > 0",
	}
	each(t, func(t *testing.T, d database) {
		db := d.users(t, [2]any{"ann", hashed(t, "x")})
		db.SetMaxOpenConns(1)
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		start := time.Now()
		err := outage(ctx, t, "too slow", &portal.SQL{DB: db, Query: slow[d.name]})
		if took := time.Since(start); took > 8*time.Second {
			t.Errorf("it took %v", took)
		}
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v, want a deadline", err)
		}
		users := &portal.SQL{DB: db, Query: d.query()}
		judges(t, "the connection is free again", users, "ann", "x", "ann")

		held, err := db.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer held.Close()
		ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if err := outage(ctx, t, "no connection is free", users); !errors.Is(err,
			context.DeadlineExceeded) {
			t.Errorf("%v, want a deadline", err)
		}
	})
}

// The server ends the connection while a login waits for it. The next login uses a new connection.
func TestConnectionLost(t *testing.T) {
	d := databases()[0]
	db := d.users(t, [2]any{"ann", hashed(t, "x")})
	admin := openPostgres(t)
	// The comment identifies the query in the server's list of running queries.
	users := &portal.SQL{DB: db, Query: "SELECT name, hash FROM users, pg_sleep(60) " +
		"WHERE name = $1 /* " + t.Name() + " */"}
	done := make(chan error)
	go func() {
		_, err := users.Check(t.Context(), password("ann", "x"))
		done <- err
	}()
	const end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity " +
		"WHERE wait_event = 'PgSleep' AND query LIKE '%' || $1 || ' */'"
	for ended := false; !ended; {
		err := admin.QueryRowContext(t.Context(), end, t.Name()).Scan(&ended)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			t.Fatal(err)
		}
	}
	if err := <-done; err == nil || errors.Is(err, portal.ErrUnauthorized) {
		t.Errorf("%v, want an outage", err)
	}
	users = &portal.SQL{DB: db, Query: d.query()}
	judges(t, "the next login", users, "ann", "x", "ann")
}

// If a connection ends between two logins, this is noticed only when it is used.
func TestIdleConnectionLost(t *testing.T) {
	d := databases()[0]
	db := d.users(t, [2]any{"ann", hashed(t, "x")})
	db.SetMaxOpenConns(1)
	users := &portal.SQL{DB: db, Query: d.query()}
	judges(t, "before", users, "ann", "x", "ann")
	var pid int
	if err := db.QueryRow("SELECT pg_backend_pid()").Scan(&pid); err != nil {
		t.Fatal(err)
	}
	execute(t, openPostgres(t), "SELECT pg_terminate_backend($1, 10000)", pid)
	if got, err := users.Check(t.Context(), password("ann", "x")); err != nil &&
		errors.Is(err, portal.ErrUnauthorized) || err == nil && got != "ann" {
		t.Errorf("%q, %v; want an outage at most", got, err)
	}
	judges(t, "after", users, "ann", "x", "ann")
}

// A writer locks the SQLite file, and a login that cannot wait for it does not get a verdict.
func TestLocked(t *testing.T) {
	d := databases()[1]
	path := filepath.Join(t.TempDir(), "users.db")
	writer := openDB(t, "sqlite3", path)
	writer.SetMaxOpenConns(1)
	execute(t, writer, "CREATE TABLE users (name text, hash text)")
	d.add(t, writer, "ann", hashed(t, "x"))
	execute(t, writer, "BEGIN EXCLUSIVE")
	users := &portal.SQL{DB: openDB(t, "sqlite3", path+"?_busy_timeout=50"), Query: d.query()}
	outage(t.Context(), t, "locked", users)
	execute(t, writer, "COMMIT")
	judges(t, "no longer locked", users, "ann", "x", "ann")
}
