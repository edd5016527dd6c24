package mac

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/internal/clock"
	"github.com/countersign-go/countersign/internal/view"
)

const defaultWindow = 60 // seconds

const (
	errNoKeys    problem = "the field Keys is not set"
	errWindow    problem = "the Window is negative"
	errPublicURL problem = "the PublicURL is not like https://api.example.com"
	errSigner    problem = "the Dialect is neither Draft01 nor WebOb: for Django, set a Transition"
	errNoKey     problem = "the Key has an empty Secret, which anybody could sign with"
	errKeyAlg    problem = "the Key has an Algorithm that is not known"
	errCase      problem = "the method is not in upper case"

	errLongTarget problem = "a target over 64 KiB"
)

// A Key holds the secret of an identifier and the identity that it stands for.
type Key struct {
	Secret    creds.Secret  // the client's Credentials.Key; must not be empty
	Algorithm string        // SHA256, SHA1, sha256 or sha1; if empty, SHA256
	Identity  auth.Identity // the user who signs; if its Subject is empty, the identifier
}

// Format writes k without its secret, as [Credentials.Format] does.
func (k Key) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "{Secret:%s Algorithm:%s Identity:%+v}", k.Secret, k.Algorithm, k.Identity)
}

// A KeyFunc returns the key of an identifier. ctx is the request's context. For an unknown
// identifier, it must return nil without an error, or an error that wraps [ErrUnknownID]; the
// server then answers as for a wrong MAC. Any other error means that the answer is not known now;
// the server then answers 503. A KeyFunc should still return a key that has expired by its
// Identity.Expires, so that a client with a correct MAC learns why it is refused.
//
// A KeyFunc should take as long for an unknown identifier as for a known one. A Verifier can only
// keep its own work the same. An attacker who measures many answers may learn the difference, and
// from it which identifiers exist. That matters where identifiers can be guessed, as names can.
//
// Identifiers differ if one byte differs. If a database takes several spellings for one identifier,
// an attacker can send a request again under another spelling, unless all of them have the same
// Subject.
type KeyFunc func(ctx context.Context, id string) (*Key, error)

var _ auth.Challenger = (*Verifier)(nil)

// A Verifier checks the MAC of requests. It is an [auth.Authenticator] and an [auth.Challenger].
// Most programs set Keys, and behind a proxy PublicURL.
//
// The fields must not be changed, and the Verifier must not be copied, after the first request. A
// Verifier is safe for concurrent use; Keys and Nonces must be too.
type Verifier struct {
	// Keys returns the key of an identifier. Required.
	Keys KeyFunc

	// Window is how far a timestamp may be from this machine's clock, in whole seconds, in both
	// directions and edges included. If zero, 60 s. A client with a wrong clock is told the time.
	Window time.Duration

	// NotBefore is for a service whose Nonces do not survive a restart. A request with a timestamp
	// up to that second gets 503 with a Retry-After, so that no request accepted before a restart
	// is accepted again. If zero, all timestamps in the window pass.
	//
	// With the time of the start, the service refuses requests for one second. Requests from
	// clients whose clocks were ahead can then still be repeated once. With the time of the start
	// plus Window, no request can be repeated, but the service refuses requests for the first
	// minute.
	NotBefore time.Time

	// Nonces remembers used nonces. If nil, the Verifier has its own [auth.NonceMemory].
	Nonces auth.Nonces

	// Dialect is how requests are read: Draft01, or WebOb for clients in Python.
	Dialect Dialect

	// Transition accepts the Django dialect in addition to Dialect, until a date. If nil, the
	// Verifier refuses that dialect.
	Transition *Transition

	// PublicURL is the URL that clients send requests to, for a server behind a proxy. Its scheme,
	// host and port replace the request's. Its path is put in front of the target, for a proxy that
	// removes it. If nil, the request's own scheme, host and port count, whatever host it names.
	//
	// Set PublicURL also if one key is valid for several services, because each service could pass
	// requests on to another. For a service with several names, put a Verifier behind each name: a
	// pattern of [http.ServeMux] may begin with a host. Header fields such as Forwarded are never
	// read.
	PublicURL *url.URL

	// BodyDigest requires that ext covers the body, as a [Signer] with BodyDigest does. If false,
	// digests are ignored.
	//
	// Authenticate reads bodies of up to 1 MiB before it returns. If a longer body does not match,
	// the handler gets ErrDigest instead of io.EOF when it reads the body. An attacker who can
	// change a body can also make it longer, so no handler may act before it has read to the end.
	// If all bodies are short, put [http.MaxBytesHandler] in front.
	BodyDigest bool

	own   auth.NonceMemory // used if Nonces is nil
	texts sync.Pool        // of *[]byte, for base strings

	longest atomic.Int64 // the blocks of the longest key that must be hashed first; 0 if none
}

// Authenticate checks req and returns the identity of the user who signed it: a copy of the
// Identity of the [Key]. If that has no Scheme, the Scheme is "MAC". If the request has an ext, the
// Claims hold it as an [Ext]. Authenticate may replace req.Body.
//
// It checks, in this order, the size and the grammar of the header, the timestamp, the key, the
// MAC, the expiry of the key, the nonce, and the digest of the body. It stores nothing before the
// MAC is known to be correct. An unknown identifier costs the same work as a wrong MAC, for keys of
// up to 1 KiB. Keys must do the same for its own part.
//
// The error is [auth.ErrNone] if req has no MAC header. It wraps [auth.ErrUnavailable] if Keys or
// Nonces failed, if the Verifier is set up wrongly, or if the timestamp is not after NotBefore.
// Otherwise it wraps one of this package's errors from [ErrMalformed] to [ErrDigest].
func (v *Verifier) Authenticate(req *http.Request) (*auth.Identity, error) {
	now := clock.Now(req.Context())
	line, err := findHeader(req.Header)
	if err != nil {
		return nil, err
	}
	if err := v.check(); err != nil {
		return nil, unavailable("the Verifier cannot work", err)
	}
	h, err := parseHeader(line)
	if err != nil {
		return nil, because(ErrMalformed, err)
	}
	if err := v.timely(&h, now); err != nil {
		return nil, err
	}
	key, django, err := v.prove(req, &h, now)
	if err != nil {
		return nil, err
	}
	id := key.Identity
	if id.Scheme == "" {
		id.Scheme = scheme
	}
	if id.Subject == "" {
		id.Subject = h.id
	}
	if !id.Expires.IsZero() && !now.Before(id.Expires) {
		return nil, &refusal{reason: ErrExpired, id: h.id, subject: id.Subject}
	}
	if err := v.claim(req.Context(), id.Subject, &h); err != nil {
		return nil, err
	}
	if v.BodyDigest {
		if err := checkBody(req, h.ext); err != nil {
			return nil, err
		}
	}
	if django {
		v.Transition.warn(req.Context(), h.id, id.Subject)
	}
	id.Claims = withExt(id.Claims, h.ext)
	return &id, nil
}

// Check returns an error if the Verifier is set up wrongly. Call it when a program starts.
// Authenticate of such a Verifier returns an error that wraps [auth.ErrUnavailable].
func (v *Verifier) Check() error {
	if err := v.check(); err != nil {
		return fmt.Errorf("mac: the Verifier cannot work: %w", err)
	}
	return nil
}

func (v *Verifier) check() error {
	switch {
	case v.Keys == nil:
		return errNoKeys
	case v.Window < 0:
		return errWindow
	case v.Dialect != Draft01 && v.Dialect != WebOb:
		return errSigner
	}
	if err := v.Transition.check(); err != nil || v.PublicURL == nil {
		return err
	}
	u := v.PublicURL
	if _, _, err := view.SplitHost(u.Host); err != nil {
		return errPublicURL
	}
	if _, err := view.DefaultPort(u.Scheme); err != nil || u.Path != "" && u.Path[0] != '/' ||
		u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Opaque != "" {
		return errPublicURL
	}
	return nil
}

func (v *Verifier) window() int64 {
	if v.Window == 0 {
		return defaultWindow
	}
	return int64(v.Window / time.Second)
}

// timely refuses a timestamp outside the window. It compares whole seconds as integers. No
// timestamp in the grammar can overflow them.
func (v *Verifier) timely(h *header, now time.Time) error {
	w, n := v.window(), now.Unix()
	if h.seconds < n-w || h.seconds > n+w {
		return &staleRefusal{refusal{reason: ErrStale, id: h.id}, offset(h.seconds, now)}
	}
	if wait := v.early(h.seconds); wait > 0 {
		return &early{wait}
	}
	return nil
}

// early returns how long a client that signs now with this timestamp must wait until it signs with
// a timestamp after NotBefore. The result is not positive if this timestamp is after NotBefore.
func (v *Verifier) early(seconds int64) time.Duration {
	if v.NotBefore.IsZero() {
		return 0
	}
	return inSeconds(v.NotBefore.Unix() + 1 - seconds)
}

// unknownKey replaces the key of an unknown identifier, so that the work is the same.
const unknownKey = "0123456789abcdef0123456789abcdef"

// prove returns the key that made the MAC of req, and whether the MAC is in the Django dialect. It
// builds the base string before it looks up the key, so that a malformed request never reaches
// Keys.
func (v *Verifier) prove(req *http.Request, h *header, now time.Time) (
	key *Key, django bool, err error) {
	text, _ := v.texts.Get().(*[]byte)
	if text == nil {
		text = new([]byte)
		*text = make([]byte, blockSize, 512)
	}
	defer v.keep(text)
	*text = appendLines((*text)[:blockSize], h.ts, h.nonce)
	if err := v.read(req, text, h.ext); err != nil {
		return nil, false, because(ErrMalformed, err)
	}
	key, unknown, err := v.lookup(req.Context(), h.id)
	if err != nil {
		return nil, false, err
	}
	// Choose the hash by the MAC's size, not by the key, so that all identifiers cost the same.
	secret, size := creds.Secret(unknownKey), h.mac.size
	if key != nil {
		secret, size = key.Secret, algorithm(key.Algorithm).size()
	}
	want := v.mac(h.algorithm(), secret, *text)
	right := want.equal(&h.mac)
	if !right && v.Transition.covers(h, now) {
		django = v.django(req, h, secret, text)
	}
	if !right && !django || size != h.mac.size || key == nil {
		return nil, false, invalid(h.id, key, unknown)
	}
	return key, django, nil
}

// mac is [algorithm.mac], at a cost that does not depend on the key. HMAC first hashes a key that
// is longer than a block. Once a Verifier has seen such a key, it does the same work for all other
// keys, and so for unknown ids. It hashes the key and a number of zeros, which together always have
// the same number of blocks.
func (v *Verifier) mac(a algorithm, key, message []byte) tag {
	blocks := blocksOf(len(key))
	longest := v.longest.Load()
	for len(key) > blockSize && longest < blocks && !v.longest.CompareAndSwap(longest, blocks) {
		longest = v.longest.Load()
	}
	if longest = max(longest, v.longest.Load()); longest == 0 {
		return a.mac(key, message)
	}
	short := a.sum(key)
	a.sum(zeros[:(longest+1-blocks)*blockSize-hashPadding])
	if len(key) > blockSize {
		key = short.slice()
	}
	return a.mac(key, message)
}

// lookup returns a nil key for an unknown identifier, and as unknown the reason that Keys gave.
func (v *Verifier) lookup(ctx context.Context, id string) (key *Key, unknown, err error) {
	key, err = v.Keys(ctx, id)
	switch {
	case errors.Is(err, ErrUnknownID) && !errors.Is(err, auth.ErrUnavailable):
		return nil, err, nil
	case err != nil:
	case key == nil:
		return nil, ErrUnknownID, nil
	case len(key.Secret) == 0:
		err = errNoKey
	case algorithm(key.Algorithm).size() == 0:
		err = errKeyAlg
	default:
		return key, nil, nil
	}
	return nil, nil, unavailable("looking up the key", err)
}

// keep returns text to the pool for the next request, unless a long target made it large.
func (v *Verifier) keep(text *[]byte) {
	if cap(*text) <= maxText {
		v.texts.Put(text)
	}
}

// read appends the lines of the base string that come from req and ext.
func (v *Verifier) read(req *http.Request, text *[]byte, ext string) error {
	if len(req.RequestURI) > maxText {
		return errLongTarget // a client without a key could have it copied and hashed
	}
	if lower.any(req.Method) {
		return errCase // it would be signed in upper case, as another method than the one executed
	}
	shown, err := receivedReading(req, v.PublicURL)
	if err == nil {
		*text, err = shown.append(*text, v.Dialect, ext)
	}
	return err
}

// claim claims the nonce of a request whose MAC is correct.
func (v *Verifier) claim(ctx context.Context, who string, h *header) error {
	// The timestamp passes during the whole of the last second of the window. Add one more second
	// for a request that is late between two readings of the clock, here and in Nonces.
	until := time.Unix(h.seconds+v.window()+2, 0)
	nonces := v.Nonces
	if nonces == nil {
		nonces = &v.own
	}
	fresh, err := nonces.Claim(ctx, who, h.nonce, until)
	switch {
	case err != nil:
		return unavailable("claiming the nonce", err)
	case !fresh:
		return &refusal{reason: ErrReplayed, id: h.id, subject: who}
	}
	return nil
}
