package sqlcheck

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/portal"
)

// Fifty clients log in at once over one connection, and each gets the right verdict.
func TestPoolOfOne(t *testing.T) {
	each(t, func(t *testing.T, d database) {
		db := d.users(t)
		db.SetMaxOpenConns(1)
		const people = 50
		for i := range people {
			d.add(t, db, fmt.Sprint("user", i), hashed(t, fmt.Sprint(i)))
		}
		users := &portal.SQL{DB: db, Query: d.query(), Hashing: 2}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		var all sync.WaitGroup
		for i := range people {
			all.Go(func() {
				name, given := fmt.Sprint("user", i), fmt.Sprint(i)
				judges(t, "right", users, name, given, name)
				judges(t, "wrong", users, name, given+"x", "")
				judges(t, "unknown", users, name+"x", given, "")
				_, err := users.Check(gone, password(name, given))
				if !errors.Is(err, context.Canceled) || errors.Is(err, portal.ErrUnauthorized) {
					t.Errorf("a call that has ended: %v", err)
				}
			})
		}
		all.Wait()
		if s := db.Stats(); s.InUse != 0 || s.OpenConnections > 1 {
			t.Errorf("connections: %+v", s)
		}
	})
}

// The connection is released before the password is hashed, which takes longer than the query.
func TestConnectionIsFreeWhileHashing(t *testing.T) {
	each(t, func(t *testing.T, d database) {
		db := d.users(t, [2]any{"ann", "x"}, [2]any{"twice", "x"}, [2]any{"twice", "x"},
			[2]any{"null", nil})
		db.SetMaxOpenConns(1)
		calls := 0
		users := &portal.SQL{DB: db, Query: d.query(),
			Verify: func(_ string, given creds.Secret, stored string) bool {
				calls++
				if n := db.Stats().InUse; n != 0 {
					t.Errorf("%d connections are in use", n)
				}
				return string(given) == stored
			}}
		judges(t, "right", users, "ann", "x", "ann")
		judges(t, "wrong", users, "ann", "y", "")
		judges(t, "unknown", users, "joe", "x", "")
		judges(t, "two rows", users, "twice", "x", "")
		judges(t, "NULL", users, "null", "x", "")
		if calls != 5 {
			t.Errorf("%d calls, want 5", calls)
		}
	})
}
