package provision

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/mac"
)

// A Handler gives MAC credentials to who proves who they are, in another way. It answers POST with
// the JSON form of [Marshal], and besides with expires_in: in how many seconds they end, so that
// the clocks of both sides need not agree. A request's body and query mean nothing. No answer may
// be kept by a cache, and a request that a browser sends for another site is refused with 403.
//
// The fields must not be changed once the Handler is in use. It is safe for concurrent use.
type Handler struct {
	// Auth decides who gets credentials, for instance a basic.Verifier or an [auth.Stack]. A
	// [mac.Verifier] among them would let credentials renew themselves for ever. nil: nobody gets
	// any, and each answer is 503.
	Auth auth.Authenticator

	// Issue makes the credentials, for instance (*Issuer).Issue. Its errors are answered with 500,
	// or 503 where they wrap [auth.ErrUnavailable]; the reason goes to the Logger only. Required.
	Issue func(context.Context, *auth.Identity) (*mac.Credentials, error)

	// Logger is told why somebody got none, and to whom some were given. It never sees a key, a
	// password or a query. nil: silent.
	Logger *slog.Logger
}

// ServeHTTP answers one request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	logger := h.Logger
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	switch {
	case req.Method != http.MethodPost:
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "use POST", http.StatusMethodNotAllowed)
		return
	case h.Auth == nil || h.Issue == nil:
		logger.Error("provision: a Handler needs both Auth and Issue, so nobody gets credentials")
		http.Error(w, "provisioning is not set up", http.StatusServiceUnavailable)
		return
	}
	// A browser adds a password that it remembers to any site's form.
	if err := new(http.CrossOriginProtection).Check(req); err != nil {
		logger.Warn("provision: refused", "remote", req.RemoteAddr, "reason", err)
		http.Error(w, "not from another site", http.StatusForbidden)
		return
	}
	guard := auth.Guard{Stack: auth.Stack{h.Auth}, Logger: h.Logger}
	guard.Handler(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		id, _ := auth.FromContext(req.Context())
		h.provision(w, req, id, logger)
	})).ServeHTTP(w, req)
}

func (h *Handler) provision(w http.ResponseWriter, req *http.Request, id *auth.Identity,
	logger *slog.Logger) {
	log := logger.With("subject", id.Subject, "scheme", id.Scheme, "remote", req.RemoteAddr)
	c, err := h.Issue(req.Context(), id)
	var body []byte
	if err == nil {
		body, err = answer(c)
	}
	if err != nil {
		status, text := http.StatusInternalServerError, "no credentials could be issued"
		if errors.Is(err, auth.ErrUnavailable) || req.Context().Err() != nil {
			status, text = http.StatusServiceUnavailable, "no credentials can be issued now"
			w.Header().Set("Retry-After", "1")
		}
		log.Error("provision: not issued", "reason", err)
		http.Error(w, text, status)
		return
	}
	log.Info("provision: issued", "expires", c.Expires)
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(body)
}

func answer(c *mac.Credentials) ([]byte, error) {
	f, err := formOf(c)
	if err != nil {
		return nil, err
	}
	if !c.Expires.IsZero() {
		left := time.Until(c.Expires)
		if left <= 0 {
			return nil, errors.New("the credentials that were issued have already expired")
		}
		f.ExpiresIn = max(1, int64(left.Round(time.Second)/time.Second))
	}
	return json.Marshal(f)
}
