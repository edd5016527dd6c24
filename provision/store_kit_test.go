package provision_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/mac"
	"github.com/countersign-go/countersign/provision"
)

// memory is a creds.Store for all Clients of a test, each of which represents a process.
type memory struct {
	lock    chan struct{} // holds one element while an Update runs
	mu      sync.Mutex    // guards all below
	records map[string][]byte
	writes  int

	noLoad, noUpdate, noWrite error
}

func newMemory() *memory {
	return &memory{lock: make(chan struct{}, 1), records: make(map[string][]byte)}
}

func (m *memory) Load(_ context.Context, name string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	data, ok := m.records[name]
	switch {
	case m.noLoad != nil:
		return nil, m.noLoad
	case !ok:
		return nil, creds.ErrNotFound
	}
	return bytes.Clone(data), nil
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
	old := m.all()[name]
	data, err := f(bytes.Clone(old))
	if err != nil {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.noWrite != nil {
		return m.noWrite
	}
	m.records[name] = data
	m.writes++
	return nil
}

func (m *memory) all() map[string][]byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.records)
}

// only returns the name and the text of the one record in m.
func (m *memory) only(t *testing.T) (name, record string) {
	t.Helper()
	records := m.all()
	if len(records) != 1 {
		t.Fatalf("%d records, want 1", len(records))
	}
	for n, data := range records {
		name, record = n, string(data)
	}
	return name, record
}

// mint is an endpoint that makes new credentials at each call, with the given lifetime.
type mint struct {
	mu       sync.Mutex // guards calls
	calls    int
	lifetime time.Duration
	latency  time.Duration
	extra    string // members of each answer, each with a comma before it
}

func (m *mint) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	m.mu.Lock()
	m.calls++
	n := m.calls
	m.mu.Unlock()
	time.Sleep(m.latency)
	fmt.Fprintf(w, `{"id":"id%d","key":"k%d","expires_in":%v%s}`,
		n, n, m.lifetime.Seconds(), m.extra)
}

func (m *mint) called() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.calls
}

// client returns a Client, as of a new process, that calls m and keeps credentials in store.
func (m *mint) client(store creds.Store) *provision.Client {
	return &provision.Client{
		URL: endpoint, Signer: ann(), Store: store, HTTP: &http.Client{Transport: direct{m}},
	}
}

func wantID(t *testing.T, c *provision.Client, want string) *mac.Credentials {
	t.Helper()
	got, err := c.Credentials(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got.ID != want {
		t.Fatalf("got %s, want %s", got.ID, want)
	}
	return got
}

// rejects tells c that a server refused its credentials.
func rejects(c *provision.Client) { c.Reject(func(*mac.Credentials) bool { return true }, nil) }

var errDisk = errors.New("no space left on device")

// journal collects log output.
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
