package file

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/internal/logs"
)

// A Secret is a [creds.Source] of the contents of a file, such as a key or token that Kubernetes or
// a vault agent mounts and rotates. It reads the file again once a second, and at once after a
// server refused the secret, so it does not matter how the file was replaced.
//
// One line feed at the end of the file is not a part of the secret, and neither is a carriage
// return before it. A file without other contents is an error. If the file is missing, empty or
// unreadable, the last good secret is used for another minute.
//
// A Secret does not check which users may read the file. It must not be copied after its first use.
type Secret struct {
	// Path is the file, or a symbolic link to it. Required.
	Path string

	last atomic.Pointer[reading] // nil if the file was never read
}

var (
	_ creds.Source[creds.Secret]   = (*Secret)(nil)
	_ creds.Rejecter[creds.Secret] = (*Secret)(nil)
	_ creds.Failer                 = (*Secret)(nil)
)

// A reading is the result of reading a file. It never changes.
type reading struct {
	good    creds.Secret // the latest secret that could be read, or nil
	fresh   time.Time    // until then, good is used without reading the file
	err     error        // the reason why the file could not be read now, or nil
	failing time.Time    // the first of the failures that err belongs to
}

const (
	// reread is how long a secret is used without reading the file again.
	reread = time.Second

	// missing is how long the last good secret is used while the file cannot be read. That bridges
	// the time in which another program replaces or mounts the file.
	missing = time.Minute

	// maxSecret is the size of the largest file that a Secret reads, in bytes. A token has a few
	// thousand bytes at most.
	maxSecret = 64 << 10
)

// Credentials returns the secret. The caller must not change its bytes. If the file cannot be read
// and no other secret may be used, the error gives the reason, and wraps the error of the operating
// system.
//
// The Logger of the transport.Transport whose request is signed gets one record when the file
// cannot be read, and one when it can be read again.
func (s *Secret) Credentials(ctx context.Context) (creds.Secret, error) {
	now := s.last.Load()
	if now == nil || !time.Now().Before(now.fresh) {
		now = s.look(ctx)
	}
	if now.good == nil || now.err != nil && time.Since(now.failing) >= missing {
		return nil, now.err
	}
	return now.good, nil
}

// Reject makes the next call of Credentials read the file again, if bad reports true for the
// secret. It implements [creds.Rejecter].
func (s *Secret) Reject(bad func(creds.Secret) bool, _ http.Header) {
	now := s.last.Load()
	if now == nil || now.good == nil || !bad(now.good) {
		return
	}
	stale := *now
	stale.fresh = time.Time{}
	s.last.CompareAndSwap(now, &stale) // if this fails, the file was just read again
}

// Err returns the reason why the file could not be read the last time, or nil. Credentials may
// still return the last good secret. It implements [creds.Failer].
func (s *Secret) Err() error {
	if now := s.last.Load(); now != nil {
		return now.err
	}
	return nil
}

// look reads the file.
func (s *Secret) look(ctx context.Context) *reading {
	read, err := s.read()
	for {
		before := s.last.Load()
		now := before.next(read, err)
		if s.last.CompareAndSwap(before, now) {
			s.tell(ctx, before, now)
			return now
		}
	}
}

// next returns the reading that follows r, which may be nil.
func (r *reading) next(read creds.Secret, err error) *reading {
	if r == nil {
		r = new(reading)
	}
	now := time.Now()
	switch {
	case err != nil && r.err != nil:
		return &reading{good: r.good, err: err, failing: r.failing}
	case err != nil:
		return &reading{good: r.good, err: err, failing: now}
	case bytes.Equal(read, r.good):
		read = r.good // a Signer may have derived state from this slice
	}
	return &reading{good: read, fresh: now.Add(reread)}
}

// tell logs a change from good to bad, or back.
func (s *Secret) tell(ctx context.Context, before, now *reading) {
	switch log := logs.From(ctx, nil); {
	case before == nil: // the caller gets a first error
	case now.err != nil && before.err == nil:
		log.WarnContext(ctx, "file: cannot read a secret, so the last one is used",
			"path", s.Path, "error", now.err, "until", now.failing.Add(missing))
	case now.err == nil && before.err != nil:
		log.InfoContext(ctx, "file: read a secret again", "path", s.Path)
	}
}

func (s *Secret) read() (creds.Secret, error) {
	if s.Path == "" {
		return nil, errors.New("file: a Secret needs the Path of a file: this one is empty")
	}
	// Opening a pipe would wait for its writer, so check the type first.
	info, err := os.Stat(s.Path)
	if err != nil {
		return nil, s.cannot(err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: %s is a %s: name the file of the secret",
			ErrType, s.Path, kind(info))
	}
	f, err := os.Open(s.Path)
	if err != nil {
		return nil, s.cannot(err)
	}
	defer func() { _ = f.Close() }()
	contents, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if err != nil {
		return nil, s.cannot(err)
	}
	if len(contents) > maxSecret {
		return nil, fmt.Errorf("file: %s has more than %d bytes: name the file of one secret",
			s.Path, maxSecret)
	}
	if line, ok := bytes.CutSuffix(contents, []byte("\n")); ok {
		contents = bytes.TrimSuffix(line, []byte("\r"))
	}
	if len(contents) == 0 {
		return nil, fmt.Errorf("file: the secret in %s is empty: write it to the file", s.Path)
	}
	return contents, nil
}

func (s *Secret) cannot(err error) error {
	return fmt.Errorf("file: cannot read the secret in %s: write it there, or correct the Path: %w",
		s.Path, err)
}
