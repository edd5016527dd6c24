// Package sqlcheck contains only tests: they run [portal.SQL] against a real PostgreSQL and a real
// SQLite. It is a separate module, so that users never build a database or a driver.
//
//   - database_test.go: the two databases, with separate tables for each test
//   - postgres_test.go: the PostgreSQL server, which runs below a temporary folder
//   - verdict_test.go: which logins succeed, and under which name
//   - injection_test.go: typed text never changes a query
//   - outage_test.go: if the database fails, a login is neither right nor wrong
//   - pool_test.go: many logins over one connection
//   - hash_test.go: hashes made by other programs, including the database itself
//
// The tests need a C compiler, for SQLite, and the programs initdb and postgres with the modules
// citext and pgcrypto: "apt-get install postgresql" on Debian. They fail if any of these is
// missing, instead of skipping a database. SQLite compiles in a fourth of the time with
// CGO_CFLAGS=-O0.
//
// [portal.SQL]: https://pkg.go.dev/github.com/countersign-go/countersign/portal#SQL
package sqlcheck
