package sqlcheck

import (
	"database/sql"
	"fmt"
	"net/url"
	"path/filepath"
	"sync/atomic"
	"testing"

	"golang.org/x/crypto/bcrypt"

	_ "github.com/jackc/pgx/v5/stdlib"
	_ "github.com/mattn/go-sqlite3"

	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/portal"
)

// A database holds users in a table users, with columns name and hash.
type database struct {
	name string
	open func(t testing.TB) *sql.DB // opens an empty database
	// placeholders are queries for one user, in each syntax that the driver accepts.
	placeholders []string
	binary       string // the type of a column of bytes
}

const (
	dollar   = "SELECT name, hash FROM users WHERE name = $1"
	question = "SELECT name, hash FROM users WHERE name = ?"
)

func databases() []database {
	return []database{
		{"PostgreSQL", openPostgres, []string{dollar}, "bytea"},
		{"SQLite", openSQLite, []string{question, dollar}, "blob"},
	}
}

func (d database) query() string { return d.placeholders[0] }

// each runs a test on each database.
func each(t *testing.T, test func(t *testing.T, d database)) {
	t.Helper()
	for _, d := range databases() {
		t.Run(d.name, func(t *testing.T) { test(t, d) })
	}
}

var schemas atomic.Int32 // how many there are; each test has one

// postgresURL returns the URL of a new schema on the server.
func postgresURL(t testing.TB) string {
	t.Helper()
	s, err := startPostgres()
	if err != nil {
		t.Fatal(err)
	}
	schema := fmt.Sprintf("test%d", schemas.Add(1))
	values := url.Values{"host": {s.dir}, "user": {"postgres"}, "search_path": {schema + ",public"}}
	address := "postgres:///postgres?" + values.Encode()
	db := openDB(t, "pgx", address)
	for _, extension := range []string{"citext", "pgcrypto"} {
		execute(t, db, "CREATE EXTENSION IF NOT EXISTS "+extension+" SCHEMA public")
	}
	execute(t, db, "CREATE SCHEMA "+schema)
	return address
}

func openPostgres(t testing.TB) *sql.DB {
	t.Helper()
	return openDB(t, "pgx", postgresURL(t))
}

func openSQLite(t testing.TB) *sql.DB {
	t.Helper()
	return openDB(t, "sqlite3", filepath.Join(t.TempDir(), "users.db"))
}

func openDB(t testing.TB, driver, address string) *sql.DB {
	t.Helper()
	db, err := sql.Open(driver, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func execute(t testing.TB, db *sql.DB, statement string, args ...any) {
	t.Helper()
	if _, err := db.ExecContext(t.Context(), statement, args...); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// users creates the table, with these names and hashes in it.
func (d database) users(t testing.TB, rows ...[2]any) *sql.DB {
	t.Helper()
	db := d.open(t)
	execute(t, db, "CREATE TABLE users (name text, hash text)")
	for _, row := range rows {
		d.add(t, db, row[0], row[1])
	}
	return db
}

func (d database) add(t testing.TB, db *sql.DB, name, hash any) {
	t.Helper()
	execute(t, db, "INSERT INTO users (name, hash) VALUES ($1, $2)", name, hash)
}

// hashed returns a hash of the password.
func hashed(t testing.TB, password string) string {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return string(hash)
}

func password(user, given string) portal.Password {
	return portal.Password{User: user, Password: creds.Secret(given)}
}
