package issue

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/internal/strictjson"
	"github.com/countersign-go/countersign/mac"
)

// A Registry keeps one record for each credential and one list for each subject. The record alone
// decides whether the credential is good; the list tells where to look for a subject's credentials.
// A request needs one Load, for the record that has its key.

const recordVersion = 1

// keepEnded is how long a client with a credential that has ended is still told that it has ended.
const keepEnded = time.Hour

var errNotThere = unknown(errors.New("not in the registry"))

var errTaken = errors.New("issue: there are credentials with this id already")

// A record is one credential. Its key is a string, since a creds.Secret would be written redacted.
type record struct {
	Version   int             `json:"version"`
	ID        string          `json:"id"`
	Serial    string          `json:"serial"` // unique
	Key       string          `json:"key"`
	Algorithm string          `json:"algorithm"`
	Subject   string          `json:"subject"`
	Claims    json.RawMessage `json:"claims,omitempty"`
	Created   time.Time       `json:"created"`
	Expires   time.Time       `json:"expires"`
}

func (r *record) credentials() *mac.Credentials {
	return &mac.Credentials{
		ID: r.ID, Key: creds.Secret(r.Key), Algorithm: r.Algorithm, Expires: r.Expires,
	}
}

func (r *record) entry() Entry {
	return Entry{r.ID, r.Subject, r.Algorithm, r.Created, r.Expires}
}

func (r *record) claims() (map[string]any, error) {
	if len(r.Claims) == 0 {
		return nil, nil
	}
	return strictjson.Object(r.Claims)
}

func decodeRecord(data []byte, id string) (*record, error) {
	r, err := decodeAny(data)
	if err == nil && r.ID != id {
		err = errWrongRecord
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

// decodeAny is like decodeRecord, for a credential whose id is not known.
func decodeAny(data []byte) (*record, error) {
	r := new(record)
	if err := json.Unmarshal(data, r); err != nil {
		return nil, broken(errors.New("not JSON of a credential")) // the cause may quote a key
	}
	if err := checkVersion(r.Version); err != nil {
		return nil, err
	}
	if r.ID == "" || r.Key == "" || r.Subject == "" || r.Expires.IsZero() {
		return nil, errWrongRecord
	}
	return r, nil
}

var errWrongRecord = broken(errors.New("not the credential that it should be"))

// A decoy is an encoded record that is decoded if the one asked for does not exist.
type decoy struct {
	id   string
	data []byte
}

func newDecoy(like record) *decoy {
	like.Key = strings.Repeat("x", len(like.Key))
	data, err := json.Marshal(like)
	if err != nil { // never, for a record that was decoded
		return nil
	}
	return &decoy{like.ID, data}
}

// firstDecoy is as large as most records without claims.
var firstDecoy = sync.OnceValue(func() *decoy {
	now := time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC)
	return newDecoy(record{
		Version: recordVersion, ID: "0123456789abcdef", Serial: "01234567",
		Key: strings.Repeat("x", 43), Algorithm: mac.SHA256, Subject: "nobody",
		Created: now, Expires: now,
	})
})

// pretend decodes a decoy, so that an unknown id takes as long as a known one.
func (r *Registry) pretend() {
	d := r.decoy.Load()
	if d == nil {
		d = firstDecoy()
	}
	if d == nil {
		return
	}
	if found, err := decodeRecord(d.data, d.id); err == nil {
		_, _ = found.claims()
	}
}

// A list names the credentials of one subject.
type list struct {
	Version int      `json:"version"`
	Subject string   `json:"subject"`
	Entries []listed `json:"entries"`

	// Incomplete is set if an earlier list was lost, together with its entries.
	Incomplete bool `json:"incomplete,omitempty"`
}

// A listed is the entry of one credential. ID is its id, and Serial distinguishes it from others
// that had the same id.
type listed struct {
	ID      string    `json:"id"`
	Serial  string    `json:"serial"`
	Expires time.Time `json:"expires"`
}

func decodeList(data []byte, subject string) (*list, error) {
	if data == nil {
		return &list{Version: recordVersion, Subject: subject}, nil
	}
	l := new(list)
	if err := json.Unmarshal(data, l); err != nil {
		return nil, broken(errors.New("not JSON of a list"))
	}
	if err := checkVersion(l.Version); err != nil {
		return nil, err
	}
	if l.Subject != subject {
		return nil, broken(errors.New("a list of another subject"))
	}
	return l, nil
}

// drop removes the entries in gone. It keeps later ones under the same ids.
func (l *list) drop(gone []listed) {
	l.Entries = slices.DeleteFunc(l.Entries, func(e listed) bool {
		return slices.ContainsFunc(gone, func(g listed) bool {
			return g.ID == e.ID && g.Serial == e.Serial
		})
	})
}

// complete returns an error if credentials may be missing.
func (l *list) complete() error {
	if !l.Incomplete {
		return nil
	}
	return broken(fmt.Errorf("a list of credentials was damaged, so some may be good that are not "+
		"in it: revoke them by their ids, or wait until they have ended, then delete %q",
		subjectName(l.Subject)))
}

func (l *list) live(now time.Time) int {
	n := 0
	for _, e := range l.Entries {
		if now.Before(e.Expires) {
			n++
		}
	}
	return n
}

// useless returns a function that reports whether an entry should be removed.
func (l *list) useless(now time.Time, quota int) func(listed) bool {
	limit := now.Add(-keepEnded)
	if quota >= 0 && len(l.Entries) >= quota {
		limit = now
	}
	return func(e listed) bool { return !limit.Before(e.Expires) }
}

// full returns an error unless there is room for another entry.
func (l *list) full(now time.Time, quota int) error {
	if quota < 0 || l.live(now) < quota {
		return nil
	}
	var first time.Time
	for _, e := range l.Entries {
		if now.Before(e.Expires) && (first.IsZero() || e.Expires.Before(first)) {
			first = e.Expires
		}
	}
	return &quotaError{first.Sub(now)}
}

// A quotaError is ErrQuota with the time until there is room again.
type quotaError struct{ wait time.Duration }

func (e *quotaError) Error() string             { return ErrQuota.Error() }
func (e *quotaError) Unwrap() error             { return ErrQuota }
func (e *quotaError) RetryAfter() time.Duration { return e.wait }

var _ auth.DelayError = (*quotaError)(nil)

func checkVersion(version int) error {
	if version > recordVersion {
		return broken(fmt.Errorf("version %d is newer than this program", version))
	}
	if version != recordVersion {
		return broken(errors.New("no version"))
	}
	return nil
}

// broken returns the error for a record that cannot be used, so that it is not known whether the
// credential is good.
func broken(reason error) error {
	return fmt.Errorf("issue: a record of the registry: %w: %w", reason, auth.ErrUnavailable)
}

const idPrefix = "registry-id-"

// Names in the Store are hashes, which every Store can take, whatever characters ids and subjects
// have.
func idName(id string) string           { return idPrefix + hashed(id) }
func subjectName(subject string) string { return "registry-subject-" + hashed(subject) }

func hashed(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

func (r *Registry) store() creds.Store {
	if r.Store != nil {
		return r.Store
	}
	r.once.Do(func() {
		m := new(memory)
		r.memory = func() *memory { return m }
	})
	return r.memory()
}

// load returns the record of a credential. The error wraps mac.ErrUnknownID if none is
// stored.
func (r *Registry) load(ctx context.Context, id string) (*record, error) {
	if len(id) > maxText {
		return nil, unknown(fmt.Errorf("longer than %d bytes", maxText))
	}
	data, err := r.store().Load(ctx, idName(id))
	switch {
	case errors.Is(err, creds.ErrNotFound):
		return nil, errNotThere
	case err != nil:
		return nil, storeError(err)
	}
	return decodeRecord(data, id)
}

// loadList returns the list of a subject. The list is empty if none is stored.
func (r *Registry) loadList(ctx context.Context, subject string) (*list, error) {
	data, err := r.store().Load(ctx, subjectName(subject))
	if errors.Is(err, creds.ErrNotFound) && !errors.Is(err, creds.ErrCorrupt) {
		data, err = nil, nil
	}
	if err != nil {
		return nil, r.damaged(ctx, subject, storeError(err))
	}
	return decodeList(data, subject)
}

func (r *Registry) completeList(ctx context.Context, subject string) (*list, error) {
	l, err := r.loadList(ctx, subject)
	if err == nil {
		err = l.complete()
	}
	return l, err
}

// damaged marks a damaged list, and adds to err the error of doing so. A Store sets a damaged
// record aside, and the next Load would find none. But the subject still has credentials: those
// that the list named are still good.
func (r *Registry) damaged(ctx context.Context, subject string, err error) error {
	if !errors.Is(err, creds.ErrCorrupt) {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanUpTime)
	defer cancel()
	mark := func() error {
		return r.update(ctx, subjectName(subject), func(old []byte) ([]byte, error) {
			l, err := decodeList(old, subject)
			if err != nil {
				return nil, err
			}
			l.Incomplete = true
			return json.Marshal(l)
		})
	}
	failed := mark()
	if errors.Is(failed, creds.ErrCorrupt) { // it was set aside only now
		failed = mark()
	}
	return errors.Join(err, failed)
}

// update changes one record. An error of f is returned unchanged.
func (r *Registry) update(ctx context.Context, name string,
	f func(old []byte) ([]byte, error)) error {
	var own error
	err := r.store().Update(ctx, name, func(old []byte) (data []byte, err error) {
		data, own = f(old)
		return data, own
	})
	if own != nil {
		return own
	}
	if err != nil {
		return storeError(err)
	}
	return nil
}

// updateList changes the list of a subject, and deletes it if it has become empty.
func (r *Registry) updateList(ctx context.Context, subject string, f func(*list) error) error {
	err := r.update(ctx, subjectName(subject), func(old []byte) ([]byte, error) {
		l, err := decodeList(old, subject)
		if err != nil {
			return nil, err
		}
		if err := f(l); err != nil {
			return nil, err
		}
		if len(l.Entries) == 0 && !l.Incomplete {
			return nil, nil
		}
		return json.Marshal(l)
	})
	return r.damaged(ctx, subject, err)
}

// remove deletes the record of a credential if which reports true for it.
func (r *Registry) remove(ctx context.Context, id string, which func(*record) bool) error {
	return r.update(ctx, idName(id), func(old []byte) ([]byte, error) {
		if old == nil {
			return nil, nil
		}
		found, err := decodeRecord(old, id)
		if err != nil || which(found) {
			return nil, err
		}
		return old, nil
	})
}

func (r *Registry) unlist(ctx context.Context, subject string, gone []listed) error {
	return r.updateList(ctx, subject, func(l *list) error {
		l.drop(gone)
		return nil
	})
}

func storeError(err error) error {
	return fmt.Errorf("issue: the store of the registry: %w: %w", auth.ErrUnavailable, err)
}
