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

// SQL is a [Checker] of [Password] against a database. It is used by pointer, and its fields must
// not be changed once it is in use.
//
//	users := &portal.SQL{DB: db, Query: "SELECT name, hash FROM users WHERE name = ?"}
//
// The subject is the name that the database gives, which need not be the one that was typed: where
// the database takes Ann and ann for the same, she is the same to the service as well, and a query
// may find people by their mail address. A NULL name or hash, or an empty one, is a closed
// account, and so is a hash that begins with ! or *.
//
// A name that is not there takes as long as one that is: the password is compared with a hash that
// was read before, always the same for the same name, and whatever comes out is wrong. Those are
// the hashes of up to 64 users, the first that were asked for, until the program ends. So where the
// hashes of users cost different amounts, times can tell some names apart until that many have been
// read. Until one has been, it is bcrypt of cost 10 that is computed. What the database and its
// driver take longer for a row than for none is not made up for; beside a hash that costs what it
// should, it is little.
type SQL struct {
	DB *sql.DB // required
	// Query has one placeholder, for the name, in the way of the driver: ? or $1. It gives name and
	// hash, of one row at most; two rows are nobody. Required. What was typed goes to the database
	// as the value of the placeholder, and never into the text of the query.
	Query string

	// Verify and PlainText are as in [File]. Verify is not called for names that are not there
	// until a hash has been read.
	Verify    func(user string, given creds.Secret, stored string) bool
	PlainText bool

	// Hashing is how many passwords are hashed at once, and Wait is how long the others wait, as in
	// [File]. How many queries run at once is up to DB.
	Hashing int
	Wait    time.Duration
	// Timeout is how long a query takes at most, with the wait for a connection. Beyond that the
	// login fails with an error that wraps [context.DeadlineExceeded]. If 0, 5 s.
	Timeout time.Duration

	slots  slots
	keys   keys // whose cell of decoys is which
	decoys decoys
}

// Format writes the query alone: the DB may hold how it logs in.
func (s *SQL) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "{Query:%q}", s.Query) }

// Kinds returns the type of Password, and that of Response with PlainText.
func (s *SQL) Kinds() []reflect.Type { return passwordKinds(s.PlainText) }

// Check returns the name of the user as the database has it. An error of the database is passed on,
// since nobody can tell.
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

// CheckPassword is Check for a [Password].
func (s *SQL) CheckPassword(
	ctx context.Context, user string, password creds.Secret) (subject string, err error) {
	return s.Check(ctx, Password{user, password})
}

// decoy returns what is compared with in place of found, and keeps found for others.
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
	// It is read anew, since to parse it is part of what a user costs.
	return r.read(decoy.text)
}

// A row is what the database has of somebody. The name is never empty: where the database has none,
// it is the one that was asked for, and there is no password.
type row struct {
	name, password string
	fault          error // why this is nobody; nil: it is somebody, or there was no row
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
	defer func() { _ = rows.Close() }() // rows.Err has told about all that was read
	found, count := nobody, 0
	for ; count < 2 && rows.Next(); count++ {
		var name, password sql.NullString
		if err := rows.Scan(&name, &password); err != nil {
			return nobody, fmt.Errorf("portal: query of users, which must give name and hash: %w",
				err)
		}
		if name.String != "" && password.String != "" { // which is so for NULL, too
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
