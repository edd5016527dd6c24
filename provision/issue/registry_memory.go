package issue

import (
	"context"
	"errors"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/countersign-go/countersign/creds"
)

// A memory is a creds.Lister whose records end with the process.
type memory struct {
	mu      sync.Mutex // guards records
	records map[string][]byte
}

func (m *memory) Load(_ context.Context, name string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	data, ok := m.records[name]
	if !ok {
		return nil, creds.ErrNotFound
	}
	return data, nil // a record is replaced, never written to
}

// Records copies only the names, and holds no lock while the caller has a record.
func (m *memory) Records(ctx context.Context, prefix string) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		m.mu.Lock()
		names := slices.Collect(maps.Keys(m.records))
		m.mu.Unlock()
		for _, name := range names {
			if !strings.HasPrefix(name, prefix) {
				continue
			}
			data, err := m.Load(ctx, name)
			if errors.Is(err, creds.ErrNotFound) {
				continue // revoked since
			}
			if !yield(data, err) {
				return
			}
		}
	}
}

func (m *memory) Update(_ context.Context, name string,
	f func(old []byte) ([]byte, error)) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	data, err := f(m.records[name])
	switch {
	case err != nil:
		return err
	case data == nil:
		delete(m.records, name)
		return nil
	case m.records == nil:
		m.records = map[string][]byte{}
	}
	m.records[name] = data
	return nil
}
