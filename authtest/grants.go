package authtest

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/internal/authparam"
	"github.com/countersign-go/countersign/jwt"
	"github.com/countersign-go/countersign/mac"
)

// A core is the state of a Service.
type core struct {
	lifetime time.Duration
	secret   creds.Secret // signs all tokens
	key      *jwt.Key     // the same, to verify tokens

	mu            sync.Mutex // guards all below; not held while a handler runs or a goroutine waits
	faults        Faults
	inFlight      int // how many more requests have their credentials revoked on their way
	glitches      int // for how many more requests the clock is further ahead
	requests      int // since Set, like provisionings
	provisionings int
	grants        map[string]*grant // by the id of a key, or the jti of a token
	nonces        map[[2]string]bool
	last          map[string]*grant // by the path that issued it
	seen          Seen
}

// A grant is one set of credentials.
type grant struct {
	id, text string // text is the key, or the token
	subject  string
	born     time.Time
	expires  time.Time
	revoked  bool
	arrived  int // requests that carried it
	good     int // the number of those that were accepted
	skew     int64
	skewed   bool // skew was learned
}

func newCore(lifetime time.Duration) *core {
	if lifetime == 0 {
		lifetime = time.Hour
	}
	c := &core{
		lifetime: lifetime, secret: creds.Secret(rand.Text() + rand.Text()),
		grants: make(map[string]*grant), nonces: make(map[[2]string]bool),
		last: make(map[string]*grant),
	}
	c.key = &jwt.Key{Method: tokenMethod, Key: c.secret}
	c.seen.Refused = make(map[string]int)
	return c
}

// judge returns the reason why a grant whose MAC or signature is right is refused, or "" if the
// grant is valid.
func (v *visit) judge(g *grant) string {
	v.mu.Lock()
	defer v.mu.Unlock()
	g.arrived++
	cause := v.state(g)
	if cause == "" && v.inFlight > 0 {
		v.inFlight--
		g.revoked = true
		cause = "revoked"
	}
	if cause == "" {
		g.good++
	}
	return cause
}

// state is called with v.mu held.
func (v *visit) state(g *grant) string {
	f, now := &v.faults, time.Now()
	switch {
	case g.revoked:
		return "revoked"
	case now.Sub(g.born) < f.Lag || g.arrived <= f.LagRequests:
		return "lag"
	case !now.Before(g.expires), f.ExpireAfter > 0 && g.good >= f.ExpireAfter:
		return "expired"
	}
	return ""
}

// find returns the grant with this id, or nil if it is unknown.
func (c *core) find(id string) *grant {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.grants[id]
}

// Claim makes the core the auth.Nonces of its service. It remembers all nonces, since a test is
// short.
func (c *core) Claim(_ context.Context, id, nonce string, _ time.Time) (bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	used := c.nonces[[2]string{id, nonce}]
	c.nonces[[2]string{id, nonce}] = true
	return !used, nil
}

// issue writes credentials to a client that has sent the right password.
func (v *visit) issue(w http.ResponseWriter, req *http.Request) {
	id, _ := auth.FromContext(req.Context())
	if req.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "use POST", http.StatusMethodNotAllowed)
		return
	}
	g, err := v.grant(req.URL.Path, id.Subject)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	left := int64(time.Until(g.expires).Round(time.Second) / time.Second)
	answer := map[string]any{"id": g.id, "key": g.text, "algorithm": mac.SHA256}
	if req.URL.Path == "/token" {
		answer = map[string]any{"access_token": g.text, "token_type": "Bearer"}
	}
	answer["expires_in"] = max(0, left)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(answer)
}

// grant makes new credentials, or returns the last ones if they must be repeated.
func (v *visit) grant(path, subject string) (*grant, error) {
	now := time.Now()
	g := &grant{id: rand.Text(), text: rand.Text(), subject: subject, born: now,
		expires: now.Add(v.lifetime)}
	if path == "/token" {
		var err error
		if g.id, g.text, err = v.token(subject); err != nil {
			return nil, err
		}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if last := v.last[path]; last != nil && v.faults.RepeatCredentials {
		return last, nil
	}
	v.issued = true
	v.grants[g.id], v.last[path] = g, g
	return g, nil
}

const (
	window      = 60 // seconds, in both directions
	learnWindow = 30 // the same around a skew that was learned
)

// errSkew means that a timestamp is not off by the skew that was learned.
var errSkew = errors.New("authtest: the timestamp is off by something else than the first one was")

// macs returns a verifier of MACs. Its mac.Verifier accepts every time, since it knows only this
// machine's clock. The times are judged before it is called, which is also the order in which it
// judges.
func (v *visit) macs() *macDoor {
	return &macDoor{visit: v, Verifier: &mac.Verifier{
		Keys: v.macKey, Nonces: v.core, Dialect: v.service.Dialect,
		Window: 100 * 365 * 24 * time.Hour,
	}}
}

type macDoor struct {
	*mac.Verifier

	visit *visit
}

// macKey returns the key of an id. It does not judge whether the key is still valid; that happens
// once the MAC is known to be right. So a client without the key cannot use up any requests of the
// grant.
func (v *visit) macKey(_ context.Context, id string) (*mac.Key, error) {
	g := v.find(id)
	if g == nil {
		return nil, mac.ErrUnknownID
	}
	v.shown = g
	return &mac.Key{
		Secret: creds.Secret(g.text), Identity: auth.Identity{Subject: g.subject},
	}, nil
}

func (d *macDoor) Authenticate(req *http.Request) (*auth.Identity, error) {
	v := d.visit
	id, seconds, ok := stamped(req.Header)
	skew := seconds - v.now().Unix()
	if ok {
		if err := v.timely(v.find(id), skew); err != nil {
			return nil, err
		}
	}
	identity, err := d.Verifier.Authenticate(req)
	if err != nil {
		return nil, err
	}
	g := v.shown
	switch v.cause = v.judge(g); v.cause {
	case "":
	case "expired":
		return nil, mac.ErrExpired
	default:
		return nil, mac.ErrInvalid
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if ok && !g.skewed {
		g.skew, g.skewed = skew, true
	}
	return identity, nil
}

// timely judges how far a timestamp is off.
func (v *visit) timely(g *grant, skew int64) error {
	if !v.faults.LearnSkew {
		if skew < -window || skew > window {
			return mac.ErrStale
		}
		return nil
	}
	if g == nil {
		return nil
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if off := skew - g.skew; g.skewed && (off < -learnWindow || off > learnWindow) {
		return errSkew
	}
	return nil
}

// Challenge adds the challenge of the Verifier, with the time of the service's clock.
func (d *macDoor) Challenge(h http.Header, req *http.Request, err error) {
	switch {
	case errors.Is(err, errSkew):
		h.Add("WWW-Authenticate", "MAC")
	case errors.Is(err, mac.ErrStale):
		seconds := strconv.FormatInt(d.visit.now().Unix(), 10)
		h.Add("WWW-Authenticate", `MAC error="stale", ts="`+seconds+`"`)
	default:
		d.Verifier.Challenge(h, req, err)
	}
}

// stamped parses the id and the timestamp of a MAC header, well enough to judge the time. Headers
// that it cannot parse are left to the Verifier, which refuses them.
func stamped(h http.Header) (id string, seconds int64, ok bool) {
	all, err := authparam.Parse(h["Authorization"])
	if err != nil || len(all) != 1 || !all[0].Is("MAC") {
		return "", 0, false
	}
	seconds, err = strconv.ParseInt(all[0].Param("ts"), 10, 64)
	return all[0].Param("id"), seconds, err == nil
}

// decided records that a request was accepted, or why it was refused.
func (v *visit) decided(_ *http.Request, _ auth.Authenticator, _ *auth.Identity, err error) {
	v.accepted = err == nil
	switch {
	case err == nil:
	case errors.Is(err, auth.ErrNone):
		v.entry.Refused = "none"
	case errors.Is(err, mac.ErrStale), errors.Is(err, errSkew), errors.Is(err, errNotYet):
		v.entry.Refused = "stale"
	case errors.Is(err, mac.ErrReplayed):
		v.entry.Refused = "nonce"
	case errors.Is(err, mac.ErrMalformed):
		v.entry.Refused = "malformed"
	case v.cause != "":
		v.entry.Refused = v.cause
	case errors.Is(err, jwt.ErrExpired):
		v.entry.Refused = "expired"
	default:
		v.entry.Refused = "invalid"
	}
}
