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

// maxWarned is how many clients a Transition warns of.
const maxWarned = 1024

const (
	errNoEnd          problem = "the Transition has no end: set Until"
	errTransitionPort problem = "the Port of the Transition is not a number from 1 to 65535"
)

// A Transition has a [Verifier] accept the [Django] dialect too, until its end, so that a service
// can leave auth_mac before all its clients have. Each such client is a warning in the log.
//
// The Django dialect covers neither the query nor ext. While a Transition lasts, an attacker who
// can change traffic can change the query of every request that is signed by a key for
// hmac-sha-1, and give it one, also if its client uses another dialect. Requests by keys for
// hmac-sha-256 stay covered. Requests with an ext are refused, and those with a body too if the
// Verifier has BodyDigest.
//
// The Window holds for these clients too. Services with auth_mac had none, so some clients may have
// to set their clocks.
//
// A Transition must not be copied after its first use. It is safe for concurrent use.
type Transition struct {
	// Until is the end. From then on, the Django dialect is refused like a wrong MAC. Required.
	Until time.Time

	// Port is the port that these clients sign: the SERVER_PORT that the service with auth_mac had.
	// If empty, the port of the request, or of PublicURL.
	Port string

	// Logger is warned of each client, by its id and its subject, once. After 1024 clients it is
	// warned of no more. If nil, slog.Default().
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

// covers reports whether a header may be in the Django dialect.
func (t *Transition) covers(h *header, now time.Time) bool {
	return t != nil && now.Before(t.Until) && h.mac.size == algorithm(SHA1).size() && h.ext == ""
}

// reading returns shown as auth_mac reads it: the host up to its first colon, and the port of a
// socket.
func (t *Transition) reading(shown reading) reading {
	shown.Host, _, _ = strings.Cut(shown.Host, ":")
	if t.Port != "" {
		shown.Port = t.Port
	}
	return shown
}

// warn tells of a client, unless it did so before.
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

// django reports whether the MAC of req is right in the Django dialect. text is a buffer. secret
// stands for the key of an unknown id too, so that the work is the same.
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
