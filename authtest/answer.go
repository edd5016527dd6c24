package authtest

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"time"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/basic"
	"github.com/countersign-go/countersign/portal"
)

// errClosed looks to a client like a connection that ended before the answer began.
var errClosed = fmt.Errorf("authtest: the connection was closed: %w", io.EOF)

// A visit is the handling of one request, from its arrival to its answer.
type visit struct {
	*core
	service *Service
	faults  Faults // the Service's faults when the request arrived
	trouble Trouble
	entry   Entry
	calls   bool // the request asks for credentials

	shown    *grant // the grant of the request's MAC
	cause    string // why the credentials are refused, if their verifier cannot tell
	accepted bool
	issued   bool // new credentials were issued
}

// answer answers a request in the form in which a server receives it. Otherwise it is like
// RoundTrip.
func (s *Service) answer(req *http.Request) (*http.Response, error) {
	v := s.core().arrive(s, req)
	body := &counter{ReadCloser: req.Body}
	req.Body = body
	if v.answersEarly(req) {
		return v.early(req, body)
	}
	defer body.Close()
	resp, err := v.run(req)
	v.entry.Body = body.n.Load()
	if err == nil {
		v.entry.Status = resp.StatusCode
	}
	v.leave()
	return resp, err
}

// arrive counts req and selects the faults that apply to it.
func (c *core) arrive(s *Service, req *http.Request) *visit {
	v := &visit{core: c, service: s}
	v.entry = Entry{Time: time.Now(), Method: req.Method, Host: req.Host, Path: req.URL.Path}
	v.calls = req.URL.Path == "/provision" || req.URL.Path == "/token"
	c.mu.Lock()
	defer c.mu.Unlock()
	v.faults, v.trouble = c.faults, c.faults.Requests
	count, seen := &c.requests, &c.seen.Requests
	if v.calls {
		v.trouble = c.faults.Provisioning
		count, seen = &c.provisionings, &c.seen.Provisioned
	}
	*count++
	*seen++
	if !v.calls && c.glitches > 0 {
		c.glitches--
		v.faults.Offset += c.faults.Glitch
	}
	if n := v.trouble.Times; n != 0 && *count > n {
		v.trouble = Trouble{}
	}
	return v
}

// leave records the result of the request.
func (v *visit) leave() {
	c := v.core
	c.mu.Lock()
	defer c.mu.Unlock()
	if v.accepted && !v.calls {
		c.seen.Accepted++
	}
	if v.issued {
		c.seen.Issued++
	}
	if v.entry.Refused != "" && !v.calls {
		c.seen.Refused[v.entry.Refused]++
	}
	c.seen.Log = append(c.seen.Log, v.entry)
}

func (v *visit) run(req *http.Request) (*http.Response, error) {
	if err := v.reach(req); err != nil {
		return nil, err
	}
	w := httptest.NewRecorder()
	if v.trouble.Status != 0 {
		v.fail(w)
	} else {
		v.rewrite(req)
		v.serve(w, req)
	}
	if v.trouble.LoseAnswer {
		return nil, errClosed
	}
	resp := w.Result()
	v.stamp(resp.Header)
	switch {
	case req.Method == http.MethodHead:
		resp.Body = http.NoBody
	case v.trouble.Drip > 0:
		resp.Body = &drip{req: req, every: v.trouble.Drip, rest: w.Body}
	}
	return resp, nil
}

// reach delays or loses req on its way to the service, as the trouble demands.
func (v *visit) reach(req *http.Request) error {
	if err := wait(req.Context(), v.trouble.Delay); err != nil {
		return err
	}
	if v.trouble.LoseRequest {
		return errClosed
	}
	return nil
}

// fail answers in place of the service.
func (v *visit) fail(w http.ResponseWriter) {
	if wait := v.trouble.RetryAfter; wait > 0 {
		seconds := int64((wait-1)/time.Second) + 1
		w.Header().Set("Retry-After", strconv.FormatInt(seconds, 10))
	}
	http.Error(w, "authtest: so the test wants it", v.trouble.Status)
}

func (v *visit) rewrite(req *http.Request) {
	if v.faults.Rewrite != nil {
		v.faults.Rewrite(req)
		req.RequestURI = req.URL.RequestURI()
	}
}

// stamp changes the answer's header as the service's clock, a cache and Faults.Challenges demand.
func (v *visit) stamp(h http.Header) {
	date := v.now().Add(-v.faults.CachedFor)
	h.Set("Date", date.UTC().Format(http.TimeFormat))
	if v.faults.CachedFor > 0 && !v.faults.NoAge {
		h.Set("Age", strconv.FormatInt(int64(v.faults.CachedFor/time.Second), 10))
	}
	challenges := h["Www-Authenticate"]
	if len(challenges) == 0 {
		return
	}
	switch v.faults.Challenges {
	case EachInALine: // unchanged
	case AllInOneLine:
		line := `Negotiate, ` + strings.Join(challenges, ", ")
		h["Www-Authenticate"] = []string{line}
	case WithoutReason:
		for i, c := range challenges {
			challenges[i], _, _ = strings.Cut(c, " ")
		}
	case WithoutAny:
		delete(h, "Www-Authenticate")
	}
}

// now returns the time by the service's clock.
func (v *visit) now() time.Time { return time.Now().Add(v.faults.Offset) }

func (v *visit) serve(w http.ResponseWriter, req *http.Request) {
	guard := auth.Guard{Decided: v.decided}
	next := v.service.Handler
	switch {
	case v.calls:
		next = http.HandlerFunc(v.issue)
		guard.Stack = auth.Stack{login{v.service}}
	case next == nil:
		next = http.HandlerFunc(hello)
		fallthrough
	default:
		guard.Stack = auth.Stack{v.macs(), v.tokens()}
		if v.trouble.EarlyAnswer {
			next = answerFirst(next)
		}
	}
	guard.Handler(next).ServeHTTP(w, req)
}

func hello(w http.ResponseWriter, req *http.Request) {
	id, _ := auth.FromContext(req.Context())
	fmt.Fprintf(w, "hello %s\n", id.Subject)
}

// A login authenticates by HTTP Basic, or by a form with the same values.
type login struct{ service *Service }

func (l login) verifier() *basic.Verifier {
	return &basic.Verifier{Users: portal.Memory{l.service.User: l.service.Password}}
}

func (l login) Authenticate(req *http.Request) (*auth.Identity, error) {
	if req.Header.Get("Authorization") == "" && req.URL.Path == "/token" {
		user, password := req.PostFormValue("username"), req.PostFormValue("password")
		if user == "" {
			user, password = req.PostFormValue("client_id"), req.PostFormValue("client_secret")
		}
		if user != "" {
			req = req.Clone(req.Context())
			req.SetBasicAuth(user, password)
		}
	}
	return l.verifier().Authenticate(req)
}

func (l login) Challenge(h http.Header, req *http.Request, err error) {
	l.verifier().Challenge(h, req, err)
}
