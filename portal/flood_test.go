package portal_test

import (
	"context"
	"database/sql/driver"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/portal"
)

// A right login among 200 wrong ones is answered or refused as busy within a second, with every
// Checker. Each password takes 100 ms here, about as much as bcrypt of cost 10.
func TestRightLoginAmongWrongOnes(t *testing.T) {
	path := writeUsers(t, "ann:right\n")
	synctest.Test(t, func(t *testing.T) {
		slow := func(_ string, given creds.Secret, stored string) bool {
			time.Sleep(100 * time.Millisecond)
			return string(given) == stored
		}
		db := table([]driver.Value{"ann", "right"}).open(t)
		for name, users := range map[string]portal.Checker{
			"File": &portal.File{Path: path, Hashing: 2, Verify: slow},
			"SQL":  &portal.SQL{DB: db, Query: usersQuery, Hashing: 2, Verify: slow},
		} {
			errs := make(chan error, 201)
			login := func(given string) {
				start := time.Now()
				_, err := users.Check(context.Background(), password("ann", given))
				if took := time.Since(start); took > time.Second {
					t.Errorf("%s: a login took %v", name, took)
				}
				errs <- err
			}
			for range 100 {
				go login("wrong")
			}
			synctest.Wait()
			go login("right")
			for range 100 {
				go login("wrong")
			}
			judged, busy := 0, 0
			for range cap(errs) {
				switch err := <-errs; {
				case errors.Is(err, portal.ErrBusy) && !errors.Is(err, portal.ErrUnauthorized):
					busy++
					later, ok := errors.AsType[interface {
						error
						RetryAfter() time.Duration
					}](err)
					if !ok || later.RetryAfter() <= 0 {
						t.Errorf("%s: %v does not say when to try again", name, err)
					}
				case err == nil, errors.Is(err, portal.ErrUnauthorized):
					judged++
				default:
					t.Errorf("%s: %v", name, err)
				}
			}
			// Two at once, eight times until the wait is over.
			if judged != 16 || busy != 185 {
				t.Errorf("%s: %d were judged and %d refused as busy", name, judged, busy)
			}
			if _, err := users.Check(t.Context(), password("ann", "right")); err != nil {
				t.Errorf("%s: after the flood: %v", name, err)
			}
		}
	})
}

// A program can set how long a login waits for others.
func TestWait(t *testing.T) {
	path := writeUsers(t, "ann:right\n")
	synctest.Test(t, func(t *testing.T) {
		for _, tt := range []struct {
			wait, want time.Duration
			busy       bool
		}{
			{-1, 0, true}, {time.Second, time.Second, true}, {time.Minute, 4 * time.Second, false},
		} {
			users := &portal.File{Path: path, Hashing: 1, Wait: tt.wait,
				Verify: func(string, creds.Secret, string) bool {
					time.Sleep(2 * time.Second)
					return false
				}}
			go func() { _, _ = users.Check(t.Context(), password("ann", "x")) }()
			synctest.Wait()
			start := time.Now()
			_, err := users.Check(t.Context(), password("ann", "x"))
			took, busy := time.Since(start), errors.Is(err, portal.ErrBusy)
			if took != tt.want || busy != tt.busy {
				t.Errorf("Wait %v: %v after %v", tt.wait, err, took)
			}
			time.Sleep(time.Minute)
		}
	})
}

// A login without a deadline ends even if the database does not answer or has no free connection.
func TestSQLTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, tt := range []struct{ timeout, want time.Duration }{
			{0, 5 * time.Second}, {time.Second, time.Second},
		} {
			db := table([]driver.Value{"ann", "right"}).db()
			db.SetMaxOpenConns(1)
			held, err := db.Conn(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			users := &portal.SQL{DB: db, Query: usersQuery, PlainText: true, Timeout: tt.timeout}
			start := time.Now()
			_, err = users.Check(context.Background(), password("ann", "right"))
			if took := time.Since(start); took != tt.want ||
				!errors.Is(err, context.DeadlineExceeded) ||
				errors.Is(err, portal.ErrUnauthorized) {
				t.Errorf("Timeout %v: %v after %v", tt.timeout, err, took)
			}
			if err := held.Close(); err != nil {
				t.Error(err)
			}
			wants(t, "afterwards", users, password("ann", "right"), "ann")
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}
