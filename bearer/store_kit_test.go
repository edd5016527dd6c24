package bearer_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"golang.org/x/oauth2"

	"github.com/countersign-go/countersign/bearer"
	"github.com/countersign-go/countersign/creds"
)

// memory is a creds.Store of one record for all Tokens of a test. Each of them stands for a
// process.
type memory struct {
	lock   chan struct{} // holds one element during an Update
	mu     sync.Mutex    // guards all below
	name   string
	record []byte
	writes int

	noLoad, noUpdate, noWrite error
}

func newMemory() *memory { return &memory{lock: make(chan struct{}, 1)} }

func (m *memory) Load(context.Context, string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.noLoad != nil:
		return nil, m.noLoad
	case m.record == nil:
		return nil, creds.ErrNotFound
	}
	return bytes.Clone(m.record), nil
}

func (m *memory) Update(ctx context.Context, name string, f func([]byte) ([]byte, error)) error {
	select {
	case m.lock <- struct{}{}:
		defer func() { <-m.lock }()
	case <-ctx.Done():
		return fmt.Errorf("waiting for the lock: %w", context.Cause(ctx))
	}
	if m.noUpdate != nil {
		return m.noUpdate
	}
	var old []byte
	if text := m.text(); text != "" {
		old = []byte(text)
	}
	data, err := f(old)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.noWrite != nil {
		return m.noWrite
	}
	m.name, m.record = name, data
	m.writes++
	return nil
}

// text returns the record, or "".
func (m *memory) text() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return string(m.record)
}

func (m *memory) set(record string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.record = []byte(record)
}

// A rotation is an authorization server whose refresh tokens are valid for one use. It takes a
// second use for theft, and revokes all tokens of the series (RFC 9700, section 4.14.2).
type rotation struct {
	latency  time.Duration
	lifetime time.Duration

	mu    sync.Mutex // guards all below
	calls int
	next  string // the valid refresh token
	theft bool
}

func newRotation() *rotation {
	return &rotation{latency: time.Second, lifetime: time.Hour, next: "refresh0"}
}

func (r *rotation) fetch(ctx context.Context, old *oauth2.Token) (*oauth2.Token, error) {
	select {
	case <-time.After(r.latency):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls++
	if r.theft = r.theft || old == nil || old.RefreshToken != r.next; r.theft {
		return nil, &oauth2.RetrieveError{ErrorCode: "invalid_grant"}
	}
	r.next = fmt.Sprint("refresh", r.calls)
	return &oauth2.Token{
		AccessToken: fmt.Sprint("token", r.calls), RefreshToken: r.next,
		Expiry: time.Now().Add(r.lifetime),
	}, nil
}

func (r *rotation) called() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.calls
}

// tokens returns the Tokens of a new process that begins with the first refresh token.
func (r *rotation) tokens(store creds.Store) *bearer.Tokens {
	return &bearer.Tokens{
		Token: &oauth2.Token{RefreshToken: "refresh0"}, Fetch: r.fetch, Store: store, Name: "ann",
	}
}

// journal collects the log records.
type journal struct {
	mu   sync.Mutex // guards text
	text strings.Builder
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

func (j *journal) logger() *slog.Logger { return slog.New(slog.NewTextHandler(j, nil)) }
