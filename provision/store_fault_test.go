package provision_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-go/countersign/basic"
	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/mac"
	"github.com/countersign-go/countersign/provision"
	"github.com/countersign-go/countersign/transport"
)

// dripping gives credentials that last 3 s; the body of the first answer takes 10 s.
type dripping struct{ calls int }

func (d *dripping) RoundTrip(req *http.Request) (*http.Response, error) {
	d.calls++
	body := fmt.Sprintf(`{"id":"id%d","key":"k","expires_in":3}`, d.calls)
	var r io.Reader = strings.NewReader(body)
	if d.calls == 1 {
		r = &late{r}
	}
	return &http.Response{StatusCode: 200, Header: http.Header{}, Request: req,
		Body: io.NopCloser(r)}, nil
}

type late struct{ io.Reader }

func (l *late) Read(p []byte) (int, error) {
	time.Sleep(10 * time.Second)
	return l.Reader.Read(p)
}

// Credentials that ended before they could be stored are not stored, as they would block updates.
func TestEndedAnswerIsNotStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, d, log := newMemory(), new(dripping), new(journal)
		for start := range 3 {
			c := &provision.Client{URL: endpoint, Signer: ann(), Store: store,
				Logger: log.logger(), HTTP: &http.Client{Transport: d}}
			_, err := c.Credentials(t.Context())
			if failed := err != nil; failed != (start == 0) || len(store.all()) != min(start, 1) {
				t.Errorf("start %d: %v, %d records", start, err, len(store.all()))
			}
		}
		if d.calls != 2 || strings.Contains(log.String(), "store") {
			t.Errorf("%d calls, log %q", d.calls, log)
		}
	})
}

// A record that had ended when it was stored is treated as an expired one.
func TestEndedRecordIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, m, log := newMemory(), &mint{lifetime: time.Hour}, new(journal)
		wantID(t, m.client(store), "id1")
		name, text := store.only(t)
		for i, saved := range []string{"946688400", "946699999"} { // at the end, and after it
			store.records[name] = []byte(strings.Replace(text, "946684800", saved, 1))
			c := m.client(store)
			c.Logger = log.logger()
			wantID(t, c, fmt.Sprint("id", i+2))
			wantID(t, m.client(store), fmt.Sprint("id", i+2))
		}
		if log.String() != "" {
			t.Errorf("log %q", log)
		}
	})
}

// stuck is a Store of which one method hangs: for the given time, or if that is 0, until the
// context ends.
type stuck struct {
	*memory
	load, lock, write bool
	hang              time.Duration
}

func (s stuck) wait(ctx context.Context) error {
	if s.hang > 0 {
		time.Sleep(s.hang)
		return nil
	}
	<-ctx.Done()
	return ctx.Err()
}

func (s stuck) Load(ctx context.Context, name string) ([]byte, error) {
	if s.load {
		if err := s.wait(ctx); err != nil {
			return nil, err
		}
	}
	return s.memory.Load(ctx, name)
}

func (s stuck) Update(ctx context.Context, n string, f func([]byte) ([]byte, error)) error {
	if s.lock {
		if err := s.wait(ctx); err != nil {
			return err
		}
	}
	return s.memory.Update(ctx, n, func(old []byte) ([]byte, error) {
		data, err := f(old)
		if err == nil && s.write {
			err = s.wait(ctx)
		}
		return data, err
	})
}

// However a Store hangs, and whether or not it heeds its context, the call has enough time, and the
// caller soon has the credentials.
func TestStoreHangs(t *testing.T) {
	tests := []struct {
		name  string
		store stuck
		takes time.Duration // beyond the time of the call
		kept  bool          // finally stored
	}{
		{"load", stuck{load: true}, 5 * time.Second, false},
		{"load, deaf", stuck{load: true, hang: time.Hour / 2}, 5 * time.Second, false},
		{"slow load", stuck{load: true, hang: 4 * time.Second}, 4 * time.Second, true},
		{"lock", stuck{lock: true}, 20 * time.Second, false},
		{"lock, deaf", stuck{lock: true, hang: time.Hour / 2}, 20 * time.Second, false},
		{"load and lock, both slow", stuck{load: true, lock: true, hang: 4 * time.Second},
			8 * time.Second, true},
		{"write", stuck{write: true}, 2 * time.Second, false},
		{"write, deaf", stuck{write: true, hang: time.Hour / 2}, 2 * time.Second, false},
		{"slow write", stuck{write: true, hang: time.Second}, time.Second, true},
		{"slower write", stuck{write: true, hang: 6 * time.Second}, 2 * time.Second, true},
	}
	for _, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			m, log := &mint{lifetime: time.Hour, latency: 8 * time.Second}, new(journal)
			tt.store.memory = newMemory()
			c := m.client(tt.store)
			c.Logger = log.logger()
			start := time.Now()
			wantID(t, c, "id1")
			if took := time.Since(start); took != tt.takes+m.latency {
				t.Errorf("%s: took %v", tt.name, took)
			}
			time.Sleep(time.Minute)
			if kept := len(tt.store.all()) == 1; kept != tt.kept {
				t.Errorf("%s: kept %t", tt.name, kept)
			}
			warnings := strings.Count(log.String(), "level=WARN")
			if tt.kept && warnings != 0 || !tt.kept && tt.store.hang == 0 && warnings != 1 {
				t.Errorf("%s: log %q", tt.name, log)
			}
			time.Sleep(time.Hour)
			if _, err := c.Credentials(t.Context()); err != nil {
				t.Errorf("%s: %v", tt.name, err)
			}
			time.Sleep(time.Hour) // the bubble must not end before its goroutines
		})
	}
}

// While a Store hangs, the Client does not call it.
func TestHungStoreIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &mint{lifetime: 5 * time.Second}
		c := m.client(stuck{memory: newMemory(), write: true, hang: time.Hour})
		wantID(t, c, "id1")
		for i := range 10 {
			time.Sleep(5 * time.Second)
			start := time.Now()
			wantID(t, c, fmt.Sprint("id", i+2))
			if took := time.Since(start); took != 0 {
				t.Errorf("took %v", took)
			}
		}
		time.Sleep(2 * time.Hour)
	})
}

// broken is a Store that panics.
type broken struct{}

func (broken) Load(context.Context, string) ([]byte, error) { return nil, creds.ErrNotFound }

func (broken) Update(_ context.Context, _ string, f func([]byte) ([]byte, error)) error {
	_, _ = f(nil)
	panic("canary-br0ken")
}

func TestStorePanics(t *testing.T) {
	m, log := &mint{lifetime: time.Hour}, new(journal)
	c := m.client(broken{})
	c.Logger = log.logger()
	wantID(t, c, "id1")
	if !strings.Contains(log.String(), "panicked with a string") ||
		shows(log.String(), "canary-br0ken") {
		t.Error("the log does not tell, or tells too much")
	}
}

// again is a Store that calls the function of an Update twice, like one that starts again if
// another process has changed the record.
type again struct{ *memory }

func (s again) Update(ctx context.Context, n string, f func([]byte) ([]byte, error)) error {
	return s.memory.Update(ctx, n, func(old []byte) ([]byte, error) {
		_, _ = f(old)
		return f(old)
	})
}

func TestStoreAsksAgain(t *testing.T) {
	store, m := newMemory(), &mint{lifetime: time.Hour}
	wantID(t, m.client(again{store}), "id1")
	wantID(t, m.client(again{store}), "id1")
	if m.called() != 1 {
		t.Errorf("%d calls", m.called())
	}
}

// If two accounts cannot be told apart, neither is stored, unless each has a name.
func TestAccountsAreNotMixedUp(t *testing.T) {
	macs := func(id string) transport.Signer {
		return &mac.Signer{Source: &mac.Credentials{ID: id, Key: []byte("k")}}
	}
	key := func(key string) transport.Signer { return basic.Signer{Password: creds.Secret(key)} }
	byOrigin := func(user string) transport.Signer {
		return transport.ByOrigin{"https://user.example": basic.Signer{User: user}}
	}
	body := func(context.Context) ([]byte, error) { return []byte("grant"), nil }
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		a, b *provision.Client
		keep bool
	}{
		{"a key in place of the user", &provision.Client{Signer: key("a")},
			&provision.Client{Signer: key("b")}, false},
		{"by origin", &provision.Client{Signer: byOrigin("a")},
			&provision.Client{Signer: byOrigin("b")}, false},
		{"mac", &provision.Client{Signer: macs("a")}, &provision.Client{Signer: macs("b")}, false},
		{"header", &provision.Client{Header: http.Header{"X-Key": {"a"}}},
			&provision.Client{Header: http.Header{"X-Key": {"b"}}}, false},
		{"body", &provision.Client{Signer: ann(), Body: body},
			&provision.Client{Signer: ann(), Body: body}, false},
		{"cookies", &provision.Client{HTTP: &http.Client{Jar: jar}},
			&provision.Client{HTTP: &http.Client{Jar: jar}}, false},
		{"named", &provision.Client{Signer: macs("a"), Name: "a"},
			&provision.Client{Signer: macs("b"), Name: "b"}, true},
	} {
		store, m, log := newMemory(), &mint{lifetime: time.Hour}, new(journal)
		for i, c := range []*provision.Client{tt.a, tt.b} {
			c.URL, c.Store, c.Logger = endpoint, store, log.logger()
			if c.HTTP == nil {
				c.HTTP = new(http.Client)
			}
			c.HTTP.Transport = direct{m}
			wantID(t, c, fmt.Sprint("id", i+1))
			wantID(t, c, fmt.Sprint("id", i+1))
		}
		told := strings.Count(log.String(), "set Client.Name")
		if kept := len(store.all()) == 2; kept != tt.keep || !kept && told != 2 ||
			kept && told != 0 || !kept && len(store.all()) != 0 {
			t.Errorf("%s: %d records, log %q", tt.name, len(store.all()), log)
		}
	}
}
