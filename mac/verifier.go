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

// A Key is what a [Verifier] has to know of an identifier.
type Key struct {
	Secret    creds.Secret  // as the client has it in Credentials.Key; never empty
	Algorithm string        // one of those of [Credentials]; "": SHA256
	Identity  auth.Identity // who signs with it; a Subject of "" means the identifier
}

// Format writes k without its secret, as [Credentials.Format] does.
func (k Key) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "{Secret:%s Algorithm:%s Identity:%+v}", k.Secret, k.Algorithm, k.Identity)
}

// A KeyFunc looks up the key of an identifier. nil without an error, or an error that wraps
// [ErrUnknownID], means that there is none, which is answered like a wrong MAC; any other error
// means that the answer is not known now: 503. A key that has ended, by Identity.Expires, is still
// returned, so that a client with a right MAC is told why it is refused. ctx is the request's.
//
// A KeyFunc should take as long for an unknown identifier as for a known one. A Verifier can only
// keep its own work the same: an attacker who measures answers very often may learn the difference,
// and from it which identifiers exist. That matters where they can be guessed, as names can.
//
// Identifiers differ if one byte does: where a database takes several spellings for one, a request
// can be sent again under another, unless all of them have one Subject.
type KeyFunc func(ctx context.Context, id string) (*Key, error)

var _ auth.Challenger = (*Verifier)(nil)

// A Verifier checks the MAC of requests. It is an [auth.Authenticator] and an [auth.Challenger].
//
// It looks, in this order, at the size and the grammar of the header, the timestamp, the key, the
// MAC, the end of the key, the nonce, and the digest of the body. Nothing is stored before the MAC
// is known to be right. An unknown identifier costs a Verifier the same work as a wrong MAC, for
// keys of up to 1 KiB; Keys must see to its own part.
//
// The fields must not be changed after the first request. A Verifier must not be copied then; it is
// safe for concurrent use, and so must Keys and Nonces be.
type Verifier struct {
	// Keys finds the key of an identifier. Required.
	Keys KeyFunc

	// Window is how far the timestamp may lie from this machine's clock, in whole seconds, both
	// ways and edges included. 0: 60 s. A client with a wrong clock is told the time.
	Window time.Duration

	// NotBefore is for a service whose Nonces do not outlive it. Timestamps up to that second get
	// 503 with a Retry-After, so that no request that was accepted before a restart is accepted
	// again. If zero, all timestamps in the window pass.
	//
	// The time of the start costs the first second. It leaves out requests of clients whose clocks
	// were ahead, which can be repeated once. The time of the start plus Window leaves out none,
	// and costs the first minute.
	NotBefore time.Time

	// Nonces remembers the nonces that were used. If nil, the Verifier has an [auth.NonceMemory].
	Nonces auth.Nonces

	// Dialect is how requests are read: Draft01, or WebOb for clients in Python.
	Dialect Dialect

	// Transition accepts the Django dialect beside Dialect, until a date. If nil, it is refused.
	Transition *Transition

	// PublicURL is where clients send requests to, for a server behind a proxy: its scheme, host
	// and port replace those of the request, and its path is put in front of the target, for a
	// proxy that takes it away. If nil, the request's own, whatever host it names. Set it also if
	// one key is good for several services, because each could pass requests on to another. For a
	// service with several names, put a Verifier behind each of them: a pattern of
	// [http.ServeMux] may begin with a host. Header fields such as Forwarded are never read.
	PublicURL *url.URL

	// BodyDigest requires that ext covers the body, as a [Signer] with BodyDigest does. Bodies of
	// up to 1 MiB are read before Authenticate returns. A longer one that does not match gives the
	// handler ErrDigest instead of io.EOF. Whoever can change a body can also make it longer, so no
	// handler may act before it has read to the end; where all bodies are short, put
	// [http.MaxBytesHandler] in front. It is off by default, and then a digest is not looked at.
	BodyDigest bool

	own   auth.NonceMemory // used if Nonces is nil
	texts sync.Pool        // of *[]byte, for base strings

	longest atomic.Int64 // the blocks of the longest key that has to be hashed first; 0: none
}

// Authenticate checks req and returns who signed it: a copy of the Identity of the [Key], with the
// Scheme "MAC" if that has none, and with an [Ext] in its Claims if the request has one. It may
// replace req.Body. The error is [auth.ErrNone] if there is no MAC header. It wraps
// [auth.ErrUnavailable] if Keys or Nonces failed or the Verifier is set up wrongly. Else it wraps
// one of the reasons of this package, from [ErrMalformed] to [ErrDigest].
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

// Check returns an error if the Verifier cannot work as it is set up, for a program to fail at its
// start. Authenticate then returns an error that wraps [auth.ErrUnavailable].
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

// timely refuses a timestamp outside the window. It compares whole seconds as integers: no
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

// early is how long it takes until a client that has just signed with this timestamp signs with one
// after NotBefore. It is not positive if this one is.
func (v *Verifier) early(seconds int64) time.Duration {
	if v.NotBefore.IsZero() {
		return 0
	}
	return inSeconds(v.NotBefore.Unix() + 1 - seconds)
}

// unknownKey stands in for the key of an unknown identifier, so that it costs the same work.
const unknownKey = "0123456789abcdef0123456789abcdef"

// prove returns the key that made the MAC of req, and whether it did so in the Django dialect. The
// base string is built before the key is looked up, so that nothing out of the ordinary reaches
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
	// The hash is that of the MAC's size, and not the key's, so that it costs the same for all.
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

// mac is [algorithm.mac], at a cost that does not depend on the key. HMAC hashes a key over a block
// first. Once a Verifier has seen such a key, it does the same work for all others, and so for
// unknown ids: one hash of the key and one of zeros, of as many blocks together.
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

// lookup returns no key for an identifier that is not known, and what Keys says of it.
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

// keep puts text back for the next request, unless a long target made it large.
func (v *Verifier) keep(text *[]byte) {
	if cap(*text) <= maxText {
		v.texts.Put(text)
	}
}

// read appends to text what req shows of itself.
func (v *Verifier) read(req *http.Request, text *[]byte, ext string) error {
	if len(req.RequestURI) > maxText {
		return errLongTarget // a stranger could have it copied and hashed
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

// claim notes the nonce of a request whose MAC is right.
func (v *Verifier) claim(ctx context.Context, who string, h *header) error {
	// The timestamp passes during the whole of the last second of the window. One more is for a
	// request that is late between the two looks at the clock, here and in Nonces.
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
