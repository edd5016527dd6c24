package provision

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
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
	// Auth decides who gets credentials, for instance a basic.Verifier or an [auth.Stack]: it names
	// exactly the ways to log in that are good enough for this, which may be fewer than elsewhere.
	// nil: nobody gets any, and each answer is 503.
	Auth auth.Authenticator

	// Issue makes the credentials, for instance (*Issuer).Issue. Its errors are answered with 429
	// where they wrap [ErrQuota], 503 where they wrap [auth.ErrUnavailable] (both with Retry-After,
	// which an error with a method RetryAfter() time.Duration chooses), and 500 else; the reason
	// goes to Logger and Audit only. Required.
	Issue func(context.Context, *auth.Identity) (*mac.Credentials, error)

	// AllowMAC also gives credentials to who shows MAC credentials. Then they renew themselves for
	// ever, and so does a stolen one, unless MaxLoginAge ends that: it needs Terms that hand the
	// claim auth_time on. False: they are refused with 403 and [ErrScheme], and so is who shows
	// some beside credentials of another kind.
	AllowMAC bool

	// MaxLoginAge is the greatest age of a login that still gives credentials. The claim auth_time
	// of the identity says when the login was: in seconds since 1970 (OpenID Connect Core 1.0,
	// section 2), or as a time.Time. raven.Login and bearer.Session set it. Other tokens have it
	// where their issuer sets it, and MAC credentials where Terms hand it on. The scheme Basic needs
	// none: its password comes with each request, so the login is now. Without the claim, the
	// answer is 401 and the error wraps [ErrLogin]. 0: any age.
	MaxLoginAge time.Duration

	// PerAddress bounds how often wrong passwords are tried, by what its Key says: the address, by
	// default. Requests with the right one, or with none at all, cost nothing. nil: no limit.
	PerAddress *auth.Limiter

	// PerSubject bounds how often one subject gets credentials; its Key is not asked. nil: no
	// limit.
	PerSubject *auth.Limiter

	// Audit is told how each POST ended, before it is answered: with the id of the credentials, or
	// with the reason why there are none. The identity is nil if it is not known who asks. Of what
	// PerAddress stops, its Limited is told instead. It must be safe for concurrent use. nil:
	// nobody is told.
	Audit func(req *http.Request, id *auth.Identity, credential string, err error)

	// Logger is told why somebody got none, and to whom some were given. It never sees a key, a
	// password or a query. nil: silent.
	Logger *slog.Logger
}

// ServeHTTP answers one request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	logger := h.logger()
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
	// A browser adds a password that it remembers to any site's form. This comes before the limits,
	// so that no site can use them up for its visitors.
	if err := new(http.CrossOriginProtection).Check(req); err != nil {
		h.audit(req, nil, "", err)
		logger.Warn("provision: refused", "remote", req.RemoteAddr, "reason", err)
		http.Error(w, "not from another site", http.StatusForbidden)
		return
	}
	h.PerAddress.Handler(http.HandlerFunc(h.authenticate)).ServeHTTP(w, req)
}

func (h *Handler) authenticate(w http.ResponseWriter, req *http.Request) {
	var reason error
	guard := auth.Guard{
		Stack:  auth.Stack{h.Auth},
		Admit:  h.admit,
		Logger: h.Logger,
		Decided: func(req *http.Request, by auth.Authenticator, id *auth.Identity, err error) {
			reason = err
			h.PerAddress.Decided(req, by, id, err)
			if err != nil {
				h.audit(req, id, "", err)
			}
		},
		Denied: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			switch {
			case errors.Is(reason, ErrScheme):
				http.Error(w, "log in another way", http.StatusForbidden)
			case errors.Is(reason, ErrLogin):
				http.Error(w, loginAdvice(reason), http.StatusUnauthorized)
			default:
				http.Error(w, "authentication required", http.StatusUnauthorized)
			}
		}),
	}
	guard.Handler(http.HandlerFunc(h.provision)).ServeHTTP(w, req)
}

func (h *Handler) provision(w http.ResponseWriter, req *http.Request) {
	id, _ := auth.FromContext(req.Context())
	log := h.logger().With("subject", id.Subject, "scheme", id.Scheme, "remote", req.RemoteAddr)
	c, body, err := h.issue(req.Context(), id)
	if err != nil {
		h.audit(req, id, "", err)
		h.refuse(w, req, log, err)
		return
	}
	h.audit(req, id, c.ID, nil)
	log.Info("provision: issued", "expires", c.Expires)
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(body)
}

// A limitError is ErrLimit, for how long.
type limitError struct{ wait time.Duration }

func (e *limitError) Error() string             { return ErrLimit.Error() }
func (e *limitError) Unwrap() error             { return ErrLimit }
func (e *limitError) RetryAfter() time.Duration { return e.wait }

func (h *Handler) issue(ctx context.Context, id *auth.Identity) (*mac.Credentials, []byte, error) {
	if wait, ok := h.PerSubject.Allow(id.Subject); !ok {
		return nil, nil, &limitError{wait}
	}
	c, err := h.Issue(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	body, err := answer(c)
	return c, body, err
}

// refuse answers who is known and gets nothing all the same. Of err it shows the kind only.
func (h *Handler) refuse(w http.ResponseWriter, req *http.Request, log *slog.Logger, err error) {
	status, text := http.StatusInternalServerError, "no credentials could be issued"
	switch {
	case errors.Is(err, ErrLimit):
		status, text = http.StatusTooManyRequests, "too many requests"
	case errors.Is(err, ErrQuota):
		status, text = http.StatusTooManyRequests, "too many credentials: revoke some"
	case errors.Is(err, auth.ErrUnavailable), req.Context().Err() != nil:
		status, text = http.StatusServiceUnavailable, "no credentials can be issued now"
	}
	level := slog.LevelError
	if status == http.StatusTooManyRequests {
		level = slog.LevelWarn
	}
	log.Log(req.Context(), level, "provision: not issued", "reason", err)
	if status != http.StatusInternalServerError {
		w.Header().Set("Retry-After", strconv.FormatInt(retryAfter(err), 10))
	}
	http.Error(w, text, status)
}

// A later is an error that knows when it is worth to ask again.
type later interface {
	error
	RetryAfter() time.Duration
}

// retryAfter is what err says, in seconds, at least one.
func retryAfter(err error) int64 {
	wait := time.Second
	if e, ok := errors.AsType[later](err); ok {
		wait = max(wait, e.RetryAfter())
	}
	return int64((wait-1)/time.Second) + 1
}

func (h *Handler) audit(req *http.Request, id *auth.Identity, credential string, err error) {
	if h.Audit != nil {
		h.Audit(req, id, credential, err)
	}
}

func (h *Handler) logger() *slog.Logger {
	if h.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return h.Logger
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
