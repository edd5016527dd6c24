package keep_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-go/countersign/internal/keep"
)

// A slow store waits before each call, and again before it writes.
type slow struct {
	load, lock, write time.Duration
	heedless          bool // it ignores its context
	err               error

	mu     sync.Mutex // guards record
	record []byte
}

func (s *slow) wait(ctx context.Context, d time.Duration) error {
	if s.heedless {
		time.Sleep(d)
		return s.err
	}
	select {
	case <-time.After(d):
		return s.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *slow) Load(ctx context.Context, name string) ([]byte, error) {
	if name == "panic" {
		panic("canary-st0r3")
	}
	if err := s.wait(ctx, s.load); err != nil {
		return nil, err
	}
	return s.text(), nil
}

func (s *slow) Update(ctx context.Context, _ string, f func([]byte) ([]byte, error)) error {
	if err := s.wait(ctx, s.lock); err != nil {
		return err
	}
	data, err := f(s.text())
	if err == nil {
		err = s.wait(ctx, s.write)
	}
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.record = data
	return nil
}

func (s *slow) text() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return bytes.Clone(s.record)
}

// troubles collects the reports of a Record.
type troubles struct {
	mu   sync.Mutex // guards text
	text []string
}

func (l *troubles) tell(_ context.Context, operation string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, operation+": "+err.Error())
}

func (l *troubles) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.text, ", ")
}

func record(s *slow) (*keep.Record, *troubles) {
	l := new(troubles)
	works := func(ctx context.Context) { l.tell(ctx, "works", errors.New("again")) }
	return &keep.Record{Store: s, Name: "a", Trouble: l.tell, Works: works}, l
}

func (s *slow) want(t *testing.T, want string) {
	t.Helper()
	if got := string(s.text()); got != want {
		t.Errorf("the record is %q, want %q", got, want)
	}
}

func becomes(text string) func([]byte) ([]byte, error) {
	return func([]byte) ([]byte, error) { return []byte(text), nil }
}

func TestLoad(t *testing.T) {
	for _, test := range []struct {
		name  string
		store *slow
		err   error
		took  time.Duration
		hung  bool
	}{
		{"at once", &slow{}, nil, 0, false},
		{"in time", &slow{load: 4 * time.Second}, nil, 4 * time.Second, false},
		{"too slow", &slow{load: time.Hour}, keep.ErrSlow, 5 * time.Second, false},
		{"heedless", &slow{load: time.Hour, heedless: true}, keep.ErrSlow, 5 * time.Second, true},
		{"an error", &slow{err: errors.ErrUnsupported}, errors.ErrUnsupported, 0, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				test.store.record = []byte("old")
				r, _ := record(test.store)
				start := time.Now()
				got, err := r.Load(t.Context())
				if !errors.Is(err, test.err) || time.Since(start) != test.took {
					t.Errorf("%v after %v", err, time.Since(start))
				}
				if err == nil && string(got) != "old" {
					t.Errorf("got %q", got)
				}
				synctest.Wait()
				if r.Hung() != test.hung {
					t.Errorf("hung: %v", r.Hung())
				}
				time.Sleep(2 * time.Hour)
				if r.Hung() {
					t.Error("it is back, and still avoided")
				}
			})
		})
	}
	r, _ := record(&slow{})
	r.Name = "panic"
	if _, err := r.Load(t.Context()); err == nil ||
		err.Error() != "the store panicked with a string" {
		t.Error("a panic is another error")
	}
}

func TestUpdate(t *testing.T) {
	const s = time.Second
	for _, test := range []struct {
		name   string
		store  *slow
		called bool
		took   time.Duration
		record string // the record an hour later
		say    string
	}{
		{"at once", &slow{}, true, 0, "new", ""},
		{"after others", &slow{lock: 19 * s}, true, 19 * s, "new", ""},
		{"held", &slow{lock: time.Hour}, false, 20 * s, "old",
			"update: others held it for too long"},
		{"held and heedless", &slow{lock: 30 * s, heedless: true}, false, 20 * s, "old",
			"update: others held it for too long"},
		{"a slow write", &slow{write: 9 * s}, true, 2 * s, "new", ""},
		{"one too slow", &slow{write: time.Hour}, true, 2 * s, "old", "update: context canceled"},
		{"an error", &slow{err: errors.ErrUnsupported}, false, 0, "old", "update: unsupported"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				test.store.record = []byte("old")
				r, told := record(test.store)
				start := time.Now()
				called := r.Update(t.Context(), start.Add(20*s), becomes("new"))
				if called != test.called || time.Since(start) != test.took {
					t.Errorf("called %v after %v", called, time.Since(start))
				}
				synctest.Wait()
				if hung := test.store.write > 0 || test.store.heedless; r.Hung() != hung {
					t.Errorf("hung: %v", r.Hung())
				}
				time.Sleep(time.Hour)
				test.store.want(t, test.record)
				got := told.String()
				if !strings.HasPrefix(got, test.say) || test.say == "" && got != "" {
					t.Errorf("told %q, want %q", got, test.say)
				}
				if r.Hung() {
					t.Error("it is back, and still avoided")
				}
			})
		})
	}
}

// The function runs in the goroutine of the caller. The record is unlocked even if the function
// fails or panics.
func TestUpdateKeeps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &slow{record: []byte("old")}
		r, told := record(store)
		turn := time.Now().Add(time.Minute)
		r.Update(t.Context(), turn, func([]byte) ([]byte, error) {
			return nil, fmt.Errorf("no better one: %w", keep.ErrStays)
		})
		func() {
			defer func() {
				if recover() != "mine" {
					t.Error("the panic is not the caller's")
				}
			}()
			r.Update(t.Context(), turn, func([]byte) ([]byte, error) { panic("mine") })
		}()
		store.want(t, "old")
		if got := told.String(); got != "" {
			t.Errorf("told %q", got)
		}
		r.Update(t.Context(), turn, func([]byte) ([]byte, error) { return nil, errors.New("bad") })
		if got := told.String(); got != "update: bad" {
			t.Errorf("told %q", got)
		}
	})
}

// The end of the caller's context does not undo a decision.
func TestUpdateOutlivesCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &slow{write: time.Second}
		r, _ := record(store)
		ctx, cancel := context.WithCancel(t.Context())
		r.Update(ctx, time.Now().Add(time.Minute), func([]byte) ([]byte, error) {
			cancel()
			return []byte("new"), nil
		})
		store.want(t, "new")
	})
}

func TestUpdateTells(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := record(&slow{write: 3 * time.Second})
		var mu sync.Mutex
		var order []string
		tell := func(what string) func() {
			return func() { mu.Lock(); defer mu.Unlock(); order = append(order, what) }
		}
		r.Began, r.Ended = tell("began"), tell("ended")
		r.Update(t.Context(), time.Now().Add(time.Minute), becomes("new"))
		tell("back")()
		time.Sleep(time.Minute)
		mu.Lock()
		defer mu.Unlock()
		if got := strings.Join(order, " "); got != "began back ended" {
			t.Errorf("got %q", got)
		}
	})
}
