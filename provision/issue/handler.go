package issue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/mac"
	"github.com/countersign-go/countersign/provision"
)

// A Handler issues MAC credentials to clients that log in by another scheme. It answers POST with
// the JSON form of [provision.Marshal] and adds expires_in, the seconds until the credentials end,
// so that the clocks of both sides need not agree. A request's body and query are ignored. No cache
// may keep an answer. A request that a browser sends for another site is refused with 403.
//
// The fields must not be changed once the Handler is in use. It is safe for concurrent use.
type Handler struct {
	// Auth decides which clients get credentials, for instance a basic.Verifier or an [auth.Stack].
	// It names exactly the ways to log in that are good enough for this, which may be fewer than
	// elsewhere. If nil, no client gets any, and each answer is 503.
	Auth auth.Authenticator

	// Issue makes the credentials, for instance (*Issuer).Issue. Its context ends with the request,
	// and after 20 s. An error that wraps [ErrQuota] is answered with 429. One that wraps
	// [auth.ErrUnavailable], or comes after the context has ended, is answered with 503. Both
	// answers have Retry-After, which an [auth.DelayError] chooses. Any other error is answered
	// with 500. Its text goes to Logger and Audit only. Required.
	Issue func(context.Context, *auth.Identity) (*mac.Credentials, error)

	// Members returns more members of the answer, for instance for a token server like Mozilla's,
	// which assigns each user to a node: api_endpoint, the URL of the service that takes the
	// credentials, with uid, duration and hashalg. The names id, key, algorithm, expires and
	// expires_in are taken. An answer that a [provision.Client] could not read is not sent: it
	// becomes a 500. An error is answered like one of Issue. If nil, no members are added.
	Members func(context.Context, *auth.Identity, *mac.Credentials) (map[string]any, error)

	// AllowMAC also gives credentials to a client that shows MAC credentials. Then clients can
	// renew theirs without end, and so can an attacker that has stolen some. MaxLoginAge ends that;
	// it needs Terms that hand the claim auth_time on. If false, a request with MAC credentials,
	// alone or beside others, is refused with 403 and [ErrScheme].
	AllowMAC bool

	// MaxLoginAge is the greatest age of a login that still gives credentials. The claim auth_time
	// of the identity has the time of the login, in seconds since 1970 (OpenID Connect Core 1.0,
	// section 2) or as a time.Time. raven.Login and jwt.Session set it. Other tokens have it if
	// their issuer sets it, and MAC credentials if Terms hand it on. The scheme Basic needs no
	// claim: its password comes with each request, so the login is now. Without the claim, the
	// answer is 401 and the error wraps [ErrLogin]. If zero, a login of any age will do.
	MaxLoginAge time.Duration

	// PerAddress bounds how often wrong passwords are tried from one address, or as its Key says.
	// Requests with the right password, or with no credentials, cost nothing. If nil, any number
	// may be tried.
	PerAddress *auth.Limiter

	// PerSubject bounds how often one subject gets credentials. Its Key is not used. If nil, any
	// number of times.
	PerSubject *auth.Limiter

	// Audit is called with the outcome of each POST before the answer is sent: with the id of the
	// credentials, or with the reason for the refusal. The identity is nil if the client is not
	// known. For requests that PerAddress stops, its Limited is called instead. Audit must be safe
	// for concurrent use. If nil, it is not called.
	Audit func(req *http.Request, id *auth.Identity, credential string, err error)

	// Logger records each refusal with its reason, and each subject that got credentials. No key,
	// password or query is logged. If nil, nothing is.
	Logger *slog.Logger
}

// Format writes the settings, and only the types of the parts, whatever the verb: the parts may
// hold passwords and keys.
func (h *Handler) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "{Auth:%T AllowMAC:%t MaxLoginAge:%v}", h.Auth, h.AllowMAC, h.MaxLoginAge)
}

// Check returns an error if the Handler cannot give credentials to any client. Call it when a
// server starts, since ServeHTTP would answer each request with 503. It calls Auth's own Check, if
// there is such a method that returns an error. It does not check Issue: call [Issuer.Check] or
// [Registry.Check] too.
func (h *Handler) Check() error {
	switch {
	case h.Auth == nil:
		return errors.New("issue: Handler.Auth is nil: set who may have credentials")
	case h.Issue == nil:
		return errors.New("issue: Handler.Issue is nil: set it to the Issue of an Issuer")
	case h.MaxLoginAge < 0:
		return errors.New("issue: Handler.MaxLoginAge is negative: set it to 0 for any age")
	}
	if part, ok := h.Auth.(interface{ Check() error }); ok {
		if err := part.Check(); err != nil {
			return fmt.Errorf("issue: Handler.Auth: %w", err)
		}
	}
	return nil
}

// ServeHTTP answers a POST with credentials, or with the status of a refusal, as the fields say.
// Any other method gets 405.
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
		logger.ErrorContext(req.Context(),
			"issue: a Handler needs both Auth and Issue, so it gives no credentials")
		http.Error(w, "provisioning is not set up", http.StatusServiceUnavailable)
		return
	}
	// A browser adds a password that it remembers to any site's form. This comes before the limits,
	// so that no site can use up the limits of its visitors.
	if err := new(http.CrossOriginProtection).Check(req); err != nil {
		h.audit(req, nil, "", err)
		logger.WarnContext(req.Context(), "issue: refused",
			"remote", req.RemoteAddr, "reason", err)
		http.Error(w, "not from another site", http.StatusForbidden)
		return
	}
	h.PerAddress.Handler(http.HandlerFunc(h.authenticate)).ServeHTTP(w, req)
}

func (h *Handler) authenticate(w http.ResponseWriter, req *http.Request) {
	guard := auth.Guard{
		Stack:  auth.Stack{h.Auth},
		Admit:  h.admit,
		Logger: h.Logger,
		Decided: func(req *http.Request, by auth.Authenticator, id *auth.Identity, err error) {
			h.PerAddress.Decided(req, by, id, err)
			if err != nil {
				h.audit(req, id, "", err)
			}
		},
		Denied: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			switch reason := auth.Denial(req.Context()); {
			case auth.Status(reason) != http.StatusUnauthorized: // the Guard answers
			case errors.Is(reason, ErrScheme):
				http.Error(w, "log in another way", http.StatusForbidden)
			case errors.Is(reason, ErrLogin):
				http.Error(w, loginAdvice(reason), http.StatusUnauthorized)
			}
		}),
	}
	guard.Handler(http.HandlerFunc(h.provision)).ServeHTTP(w, req)
}

// issueTime is how long Issue and Members may take for one answer. It is shorter than the 30 s that
// a [provision.Client] waits.
const issueTime = 20 * time.Second

func (h *Handler) provision(w http.ResponseWriter, req *http.Request) {
	id, _ := auth.FromContext(req.Context())
	log := h.logger().With("subject", id.Subject, "scheme", id.Scheme, "remote", req.RemoteAddr)
	ctx, cancel := context.WithTimeout(req.Context(), issueTime)
	defer cancel()
	c, body, err := h.issue(ctx, id)
	if err != nil {
		if ctx.Err() != nil && !errors.Is(err, auth.ErrUnavailable) {
			err = fmt.Errorf("%w (%w)", err, auth.ErrUnavailable)
		}
		h.audit(req, id, "", err)
		h.refuse(w, req, log, err)
		return
	}
	h.audit(req, id, c.ID, nil)
	log.InfoContext(req.Context(), "issue: issued", "expires", c.Expires)
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(body)
}

// A limitError is ErrLimit with the time until the subject may ask again.
type limitError struct{ wait time.Duration }

func (e *limitError) Error() string             { return ErrLimit.Error() }
func (e *limitError) Unwrap() error             { return ErrLimit }
func (e *limitError) RetryAfter() time.Duration { return e.wait }

var _ auth.DelayError = (*limitError)(nil)

func (h *Handler) issue(ctx context.Context, id *auth.Identity) (*mac.Credentials, []byte, error) {
	if wait, ok := h.PerSubject.Allow(id.Subject); !ok {
		return nil, nil, &limitError{wait}
	}
	c, err := h.Issue(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	body, err := answer(c)
	if err != nil || h.Members == nil {
		return c, body, err
	}
	more, err := h.Members(ctx, id, c)
	if err == nil {
		body, err = addMembers(body, more)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("issue: Handler.Members: %w", err)
	}
	return c, body, nil
}

// addMembers adds members to the object in body. It returns an error if a Client could not read the
// result; the text names no value.
func addMembers(body []byte, more map[string]any) ([]byte, error) {
	if len(more) == 0 {
		return body, nil
	}
	for name := range more {
		if slices.Contains(taken, strings.ToLower(name)) {
			return nil, fmt.Errorf("the name %q is taken", name)
		}
	}
	added, err := json.Marshal(more)
	if err != nil {
		return nil, errors.New("a value cannot be written as JSON") // the cause may quote it
	}
	body = append(append(body[:len(body)-1], ','), added[1:]...)
	if err := provision.CheckAnswer(body); err != nil {
		return nil, fmt.Errorf("a client could not read the answer: %w", err)
	}
	return body, nil
}

// taken has the names of the members that Handler writes itself.
var taken = []string{"id", "key", "algorithm", "expires", "expires_in"}

// refuse answers a client that has authenticated and gets no credentials. It reveals only the kind
// of err.
func (h *Handler) refuse(w http.ResponseWriter, req *http.Request, log *slog.Logger, err error) {
	status, text := http.StatusInternalServerError, "no credentials could be issued"
	switch {
	case errors.Is(err, ErrLimit):
		status, text = http.StatusTooManyRequests, "too many requests"
	case errors.Is(err, ErrQuota):
		status, text = http.StatusTooManyRequests, "too many credentials: revoke some"
	case errors.Is(err, auth.ErrUnavailable):
		status, text = http.StatusServiceUnavailable, "no credentials can be issued now"
	}
	level := slog.LevelError
	if status == http.StatusTooManyRequests {
		level = slog.LevelWarn
	}
	log.Log(req.Context(), level, "issue: not issued", "reason", err)
	if status != http.StatusInternalServerError {
		w.Header().Set("Retry-After", strconv.FormatInt(retryAfter(err), 10))
	}
	http.Error(w, text, status)
}

// retryAfter returns the wait that err asks for, in seconds, at least 1.
func retryAfter(err error) int64 {
	wait := time.Second
	if e, ok := errors.AsType[auth.DelayError](err); ok {
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

// answer returns the JSON form of c with expires_in.
func answer(c *mac.Credentials) ([]byte, error) {
	body, err := provision.Marshal(c)
	if err != nil || c.Expires.IsZero() {
		return body, err
	}
	left := time.Until(c.Expires)
	if left <= 0 {
		return nil, errors.New("the credentials that were issued have already expired")
	}
	in := max(1, int64(left.Round(time.Second)/time.Second))
	return fmt.Appendf(body[:len(body)-1], `,"expires_in":%d}`, in), nil
}
