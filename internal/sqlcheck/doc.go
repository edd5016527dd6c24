// Package sqlcheck holds tests only: [portal.SQL] against a real PostgreSQL and a real SQLite. It
// is a module of its own, so that no user ever builds a database or a driver.
//
//   - database_test.go: the two databases, and tables in them that each test has for itself
//   - postgres_test.go: the PostgreSQL server, which runs below a temporary folder
//   - verdict_test.go: who gets in, and under which name
//   - injection_test.go: what is typed stays a value
//   - outage_test.go: where the database fails, nobody can tell
//   - pool_test.go: many logins over one connection
//   - hash_test.go: hashes that others made, one of them the database
//
// The tests need a C compiler, for SQLite, and the programs initdb and postgres with the modules
// citext and pgcrypto: "apt-get install postgresql" on Debian. They fail where these are missing: a
// database that was not asked has not agreed. SQLite compiles in a fourth of the time with
// CGO_CFLAGS=-O0.
//
// [portal.SQL]: https://pkg.go.dev/github.com/countersign-go/countersign/portal#SQL
package sqlcheck
