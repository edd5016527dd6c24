package mac

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/countersign-go/countersign/internal/view"
)

// maxWarned is the number of clients that a Transition warns about.
const maxWarned = 1024

const (
	errNoEnd          problem = "the Transition has no end: set Until"
	errTransitionPort problem = "the Port of the Transition is not a number from 1 to 65535"
)

// A Transition makes a [Verifier] accept the [Django] dialect too, until a date, so that a service
// can leave auth_mac before all its clients do. It logs a warning for each such client.
//
// The Django dialect covers neither the query nor ext. During a Transition, an attacker who can
// change traffic can change or add the query of any request that is signed with a key for
// hmac-sha-1, even if its client uses another dialect. Requests with keys for hmac-sha-256 stay
// covered. The Verifier refuses Django requests with an ext and, if it has BodyDigest, with a body.
//
// A Transition must not be copied after its first use. It is safe for concurrent use.
type Transition struct {
	// Until is the end. From then on, the Django dialect is refused like a wrong MAC. Required.
	//
	// The Window of the Verifier applies to these clients too. Services with auth_mac had no
	// window, so some clients may have to set their clocks.
	Until time.Time

	// Port is the port that these clients sign: the SERVER_PORT of the service with auth_mac. If
	// empty, the port of the request, or of PublicURL.
	Port string

	// Logger gets one warning about each client, with its id and its subject. After 1024 clients it
	// gets no more. If nil, slog.Default().
	Logger *slog.Logger

	mu     sync.Mutex          // guards warned
	warned map[string]struct{} // ids
}

func (t *Transition) check() error {
	switch {
	case t == nil:
		return nil
	case t.Until.IsZero():
		return errNoEnd
	case t.Port != "" && !view.IsPort(t.Port):
		return errTransitionPort
	}
	return nil
}

// covers reports whether a request with h may be in the Django dialect.
func (t *Transition) covers(h *header, now time.Time) bool {
	return t != nil && now.Before(t.Until) && h.mac.size == algorithm(SHA1).size() && h.ext == ""
}

// reading returns shown as auth_mac reads it, with the host up to its first colon and the port of a
// socket.
func (t *Transition) reading(shown reading) reading {
	shown.Host, _, _ = strings.Cut(shown.Host, ":")
	if t.Port != "" {
		shown.Port = t.Port
	}
	return shown
}

// warn logs a warning about a client, unless it has done so before.
func (t *Transition) warn(ctx context.Context, id, subject string) {
	t.mu.Lock()
	_, known := t.warned[id]
	if known || len(t.warned) == maxWarned {
		t.mu.Unlock()
		return
	}
	if t.warned == nil {
		t.warned = map[string]struct{}{}
	}
	t.warned[id] = struct{}{}
	last := len(t.warned) == maxWarned
	t.mu.Unlock()

	logger := t.Logger
	if logger == nil {
		logger = slog.Default()
	}
	logger.LogAttrs(ctx, slog.LevelWarn, "mac: client uses the Django dialect",
		slog.String("id", id), slog.String("subject", subject), slog.Time("refused_from", t.Until))
	if last {
		logger.LogAttrs(ctx, slog.LevelWarn, "mac: more clients may use the Django dialect")
	}
}

// django reports whether the MAC of req is correct in the Django dialect. text is a buffer. For an
// unknown id, secret is a stand-in, so that the work is the same.
func (v *Verifier) django(req *http.Request, h *header, secret []byte, text *[]byte) bool {
	shown, err := receivedReading(req, v.PublicURL)
	if err != nil {
		return false
	}
	shown = v.Transition.reading(shown)
	*text = appendLines((*text)[:blockSize], h.ts, h.nonce)
	if *text, err = shown.append(*text, Django, ""); err != nil {
		return false
	}
	want := v.mac(SHA1, secret, *text)
	return want.equal(&h.mac)
}
