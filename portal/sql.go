package portal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/countersign-go/countersign/creds"
)

// SQL is a [Checker] of [Password] against a database. Use it by pointer, and do not change its
// fields once it is in use.
//
//	users := &portal.SQL{DB: db, Query: "SELECT name, hash FROM users WHERE name = ?"}
//
// The subject is the name that the database returns, which may differ from the name that the user
// typed. So if the database treats Ann and ann as equal, the service does so, too, and a query may
// find users by their mail address.
type SQL struct {
	DB *sql.DB // required
	// Query has one placeholder for the name, in the driver's syntax: ? or $1. It must return name
	// and hash, of at most one row; if it returns two, the login is refused. The typed name reaches
	// the database as the value of the placeholder, never as part of the query's text. A row with a
	// NULL or empty name or hash is a closed account. In the formats of the package comment, a hash
	// that begins with ! or * closes the account, too. Required.
	Query string

	// Verify and PlainText are the same as in [File]. Verify is not called for unknown names until
	// one hash has been read.
	Verify    func(user string, given creds.Secret, stored string) bool
	PlainText bool

	// Hashing is how many passwords are hashed at once, and Wait is how long the others wait, as in
	// [File]. The DB limits how many queries run at once.
	Hashing int
	Wait    time.Duration
	// Timeout is how long a query may take, including the wait for a connection. After that the
	// login fails with an error that wraps [context.DeadlineExceeded]. If zero, 5 s.
	Timeout time.Duration

	slots  slots
	keys   keys // which cell of decoys a name has
	decoys decoys
}

// Format writes only the query, under every verb: the DB may hold credentials.
func (s *SQL) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "{Query:%q}", s.Query) }

// Kinds returns the type of Password, and with PlainText also the type of Response.
func (s *SQL) Kinds() []reflect.Type { return passwordKinds(s.PlainText) }

// Check returns the user's name as the database has it. It returns errors of the database, since
// with them the password may be right or wrong.
//
// An unknown name takes as long as a known one: the password is compared with a hash that was read
// before, always the same for the same name, and the result is ignored. SQL keeps the hashes of up
// to 64 users for that, the first that logged in or tried to, until the program ends. Before it has
// one, it computes bcrypt of cost 10. If the hashes of users differ in cost, the times can reveal
// some names until 64 have been read. A database and its driver may take longer to return a row
// than to return none. This difference remains; it is small beside a hash of sufficient cost.
func (s *SQL) Check(ctx context.Context, c Credentials) (subject string, err error) {
	user, ok := userOf(c, s.PlainText)
	if !ok {
		return "", unhandled(c, s.Kinds())
	}
	if p, ok := c.(Password); ok && len(p.Password) > maxPassword || !isName(user) {
		return "", ErrUnauthorized
	}
	rules := rules{verify: s.Verify, plain: s.PlainText}
	if err := rules.check(); err != nil {
		return "", err
	}
	row, err := s.find(ctx, user)
	if err != nil {
		return "", err
	}
	var found *stored
	if row.fault != nil {
		found = &stored{fault: refused(row.fault)}
	} else if row.name != "" && row.password != "" {
		if found = rules.read(row.password); found.fault != nil {
			found.fault = refused(found.fault)
		}
	}
	release, err := s.slots.take(ctx, s.Hashing, s.Wait)
	if err != nil {
		return "", err
	}
	defer release()
	if err := rules.match(c, row.name, found, s.decoy(rules, row.name, found)); err != nil {
		return "", err
	}
	return row.name, nil
}

// CheckPassword calls Check with a [Password].
func (s *SQL) CheckPassword(
	ctx context.Context, user string, password creds.Secret) (subject string, err error) {
	return s.Check(ctx, Password{user, password})
}

// decoy returns found if it is valid, and keeps it as a decoy for other names. Otherwise it returns
// the decoy of name.
func (s *SQL) decoy(r rules, name string, found *stored) *stored {
	key := s.keys.of(name)
	decoy := s.decoys.of(key)
	switch {
	case found != nil && found.fault == nil:
		s.decoys.add(key, found)
		return found
	case decoy == nil:
		return r.unlike()
	}
	// Parse it again, since parsing is part of the time that a known user costs.
	return r.read(decoy.text)
}

// A row is the database's answer for one name. Its name is never empty: without a row in the
// database, it is the requested name, and the password is empty.
type row struct {
	name, password string
	fault          error // why the login is refused; nil if there is a usable row or no row
}

func (s *SQL) find(ctx context.Context, user string) (row, error) {
	if s.DB == nil || s.Query == "" {
		return row{}, errors.New("portal: the SQL checker has no DB or no Query")
	}
	timeout := s.Timeout
	if timeout <= 0 {
		timeout = 5 * time.Second
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	nobody := row{name: user}
	rows, err := s.DB.QueryContext(ctx, s.Query, user)
	if err != nil {
		return nobody, fmt.Errorf("portal: query of users: %w", err)
	}
	defer func() { _ = rows.Close() }() // rows.Err has reported all errors of reading
	found, count := nobody, 0
	for ; count < 2 && rows.Next(); count++ {
		var name, password sql.NullString
		if err := rows.Scan(&name, &password); err != nil {
			return nobody, fmt.Errorf("portal: query of users, which must give name and hash: %w",
				err)
		}
		if name.String != "" && password.String != "" { // NULL is empty, too
			found = row{name: name.String, password: password.String}
		}
	}
	if err := rows.Err(); err != nil {
		return nobody, fmt.Errorf("portal: query of users: %w", err)
	}
	switch {
	case count > 1:
		nobody.fault = errors.New("the query of users gives two rows: make names unique")
		return nobody, nil
	case !isName(found.name):
		nobody.fault = errors.New("the database has a name that is too long or not printable")
		return nobody, nil
	}
	return found, nil
}
