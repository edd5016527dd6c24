package wls

import (
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"net/http"
	"path"
	"slices"
	"sync"
	"time"

	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/portal"
	"github.com/countersign-go/countersign/raven"
)

const (
	loginPath  = "/auth/authenticate.html"
	logoutPath = "/auth/logout.html"
	stylePath  = "/auth/style.css"

	maxForm = 8 << 10
)

// A Server is a login service: an http.Handler for everything below /auth/. All fields are
// optional. They must not be changed after the first use. A Server is safe for concurrent use.
type Server struct {
	// Checker checks the passwords that users type on the page, each as a portal.Password. If nil,
	// no user can log in there.
	Checker portal.Checker
	// Decide chooses the answer to a request of an agent before any page is shown. req is the
	// browser's request, and asked is the agent's. The answer is sent unchanged, even if the agent
	// did not ask for such an answer. Only Version, Issue, ID, URL, Params and KeyID are filled in
	// where they are zero. Decide must be safe for concurrent use. If it is nil or returns nil, the
	// page is shown.
	Decide func(req *http.Request, asked *Request) *raven.Response
	// Confirm asks users who are logged in already whether they want to go on, unless the agent
	// forbids it.
	Confirm bool
	// PTags are the ptags of all users who log in on the page. If nil, "current".
	PTags []string
	// Life is how long a user stays logged in, in whole seconds. If zero, ten hours.
	Life time.Duration
	// Key signs the answers, under the name of KeyID. If nil, the Server makes a key when it first
	// needs one. If KeyID is empty, it is "1".
	Key   *rsa.PrivateKey
	KeyID string

	once    sync.Once // guards making key and failure
	key     *rsa.PrivateKey
	failure error

	sessions sessions
}

// Check returns an error if no user can log in, or if no site could read the answers. Call it when
// the program starts.
func (s *Server) Check() error {
	switch {
	case s.Checker == nil && s.Decide == nil:
		return errors.New("wls: the Server has no Checker and no Decide, so no user can log in")
	case s.Life < 0 || s.Life%time.Second != 0:
		return fmt.Errorf("wls: the Life of the Server is %v; make it whole seconds", s.Life)
	}
	service, err := s.Service("https://login.example")
	if err != nil {
		return fmt.Errorf("wls: the Server has no key: %w", err)
	}
	text, err := Sign(&raven.Response{
		Version: newest, Status: raven.StatusSuccess, Issue: time.Now(), ID: "1",
		URL: "https://app.example/", Principal: "user", PTags: s.ptags(),
		Auth: raven.AuthPassword, Life: s.life(), HasLife: true, KeyID: s.keyID(),
	}, s.key)
	if err == nil {
		_, err = service.Parse(text)
	}
	if err != nil {
		return fmt.Errorf("wls: no site can read the answers; check Key, KeyID, PTags and Life: %w",
			err)
	}
	return nil
}

// Format prints the KeyID only, so that no verb of package fmt prints the Key or the passwords of a
// Checker.
func (s *Server) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "{KeyID:%q}", s.keyID()) }

// Service returns the [raven.Service] for agents that use this service. base is the address of the
// service without path, such as "https://login.example.org".
func (s *Server) Service(base string) (*raven.Service, error) {
	key, err := s.signingKey()
	if err != nil {
		return nil, err
	}
	return &raven.Service{
		LoginURL:  base + loginPath,
		LogoutURL: base + logoutPath,
		Keys:      raven.Keys{s.keyID(): &key.PublicKey},
		PTags:     s.ptags(),
	}, nil
}

func (s *Server) signingKey() (*rsa.PrivateKey, error) {
	s.once.Do(func() {
		if s.key = s.Key; s.key == nil {
			s.key, s.failure = rsa.GenerateKey(rand.Reader, 2048)
		}
	})
	return s.key, s.failure
}

func (s *Server) keyID() string {
	if s.KeyID == "" {
		return "1"
	}
	return s.KeyID
}

func (s *Server) ptags() []string {
	if s.PTags == nil {
		return []string{"current"}
	}
	return slices.Clone(s.PTags)
}

func (s *Server) life() time.Duration {
	if s.Life == 0 {
		return 10 * time.Hour
	}
	return s.Life
}

// ServeHTTP serves the login page and the logout page. The logout page, at LogoutURL, asks users
// whether they also want to log out of the service, and logs them out by POST. If the parameter url
// of its address is an absolute http or https URL, the page has a link to it.
func (s *Server) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	secure(w.Header())
	switch path.Clean(req.URL.Path) {
	case loginPath:
		s.login(w, req)
	case logoutPath:
		s.logout(w, req)
	case stylePath:
		w.Header().Set("Content-Type", "text/css; charset=utf-8")
		w.Write([]byte(style)) //nolint:errcheck,gosec // the client has gone away
	default:
		show(w, http.StatusNotFound, &page{Title: "There is no such page"})
	}
}

// logout asks whether to log out here too, and does so when the user presses the button. A link or
// an image on another site must not log a user out.
func (s *Server) logout(w http.ResponseWriter, req *http.Request) {
	p := &page{Title: "You have logged out"}
	p.backTo(req)
	switch req.Method {
	case http.MethodGet, http.MethodHead:
		if known, ok := s.sessions.find(req); ok {
			p.Title, p.LogOut = "Log out here, too?", known.user
			secure(w.Header(), self)
		}
	case http.MethodPost:
		if err := new(http.CrossOriginProtection).Check(req); err != nil {
			show(w, http.StatusForbidden, &page{Title: "This form came from another site"})
			return
		}
		s.sessions.end(w, req)
	default:
		w.Header().Set("Allow", "GET, HEAD, POST")
		show(w, http.StatusMethodNotAllowed, &page{Title: "This page cannot be used like that"})
		return
	}
	show(w, http.StatusOK, p)
}

// login answers a request of an agent. The request is in the query of the URL, even if the browser
// sends the form (section 2: parameters are never read from a body).
func (s *Server) login(w http.ResponseWriter, req *http.Request) {
	asked, err := read(req.URL.RawQuery)
	if err != nil {
		show(w, http.StatusBadRequest, &page{
			Title: "The site asked for something that cannot be answered", Alert: err.Error(),
		})
		return
	}
	if asked.Version > newest {
		// The agent can be expected to read the oldest version (section 3, status 520).
		asked.Version = 1
		s.answer(w, req, asked, &raven.Response{Status: raven.StatusUnsupportedVersion})
		return
	}
	if s.Decide != nil {
		if r := s.Decide(req, asked); r != nil {
			s.answer(w, req, asked, r)
			return
		}
	}
	switch {
	case asked.AAuth != nil && !slices.Contains(asked.AAuth, raven.AuthPassword):
		s.answer(w, req, asked, &raven.Response{Status: raven.StatusNoAuthTypes})
	case req.Method == http.MethodPost:
		s.form(w, req, asked)
	case req.Method == http.MethodGet || req.Method == http.MethodHead:
		s.arrive(w, req, asked)
	default:
		w.Header().Set("Allow", "GET, HEAD, POST")
		show(w, http.StatusMethodNotAllowed, &page{Title: "This page cannot be used like that"})
	}
}

// arrive answers a browser that an agent has redirected here.
func (s *Server) arrive(w http.ResponseWriter, req *http.Request, asked *Request) {
	known, ok := s.sessions.find(req)
	switch {
	case asked.IAct == raven.MustNot && !ok:
		s.answer(w, req, asked, &raven.Response{Status: raven.StatusInteractionRequired})
	case asked.IAct == raven.MustNot, asked.IAct == raven.AsNeeded && ok && !s.Confirm:
		s.answer(w, req, asked, s.again(known))
	case ok && asked.IAct == raven.AsNeeded:
		s.ask(w, http.StatusOK, asked, &page{Known: known.user})
	default:
		s.ask(w, http.StatusOK, asked, &page{})
	}
}

// form answers a browser in which the user pressed a button of the page.
func (s *Server) form(w http.ResponseWriter, req *http.Request, asked *Request) {
	if err := new(http.CrossOriginProtection).Check(req); err != nil {
		show(w, http.StatusForbidden, &page{Title: "This form came from another site"})
		return
	}
	// ParseForm would read the query too, and refuse the semicolons that the protocol allows there.
	body := *req
	body.URL, body.Body = nil, http.MaxBytesReader(w, req.Body, maxForm)
	if err := body.ParseForm(); err != nil {
		show(w, http.StatusBadRequest, &page{Title: "The form could not be read"})
		return
	}
	switch body.PostForm.Get("action") {
	case "login":
		s.password(w, &body, asked)
	case "continue":
		known, ok := s.sessions.find(req)
		if !ok || asked.IAct == raven.Must {
			s.ask(w, http.StatusOK, asked, &page{Alert: "Please log in."})
			return
		}
		s.answer(w, req, asked, s.again(known))
	case "cancel":
		s.answer(w, req, asked, &raven.Response{Status: raven.StatusCancelled})
	default:
		show(w, http.StatusBadRequest, &page{Title: "The form has no such button"})
	}
}

func (s *Server) password(w http.ResponseWriter, req *http.Request, asked *Request) {
	checker := s.Checker
	if checker == nil {
		checker = portal.Memory{}
	}
	user := req.PostForm.Get("user")
	subject, err := checker.Check(req.Context(), portal.Password{
		User: user, Password: creds.Secret(req.PostForm.Get("password")),
	})
	switch {
	case errors.Is(err, portal.ErrUnauthorized):
		s.ask(w, http.StatusForbidden, asked, &page{
			User: user, Alert: "The user name or the password is wrong.",
		})
	case err != nil || subject == "":
		w.Header().Set("Retry-After", "1")
		s.ask(w, http.StatusServiceUnavailable, asked, &page{
			User: user, Alert: "The password cannot be checked now. Please try again later.",
		})
	default:
		s.sessions.begin(w, req, subject, s.life())
		s.answer(w, req, asked, &raven.Response{
			Status: raven.StatusSuccess, Principal: subject, PTags: s.ptags(),
			Auth: raven.AuthPassword, Life: s.life(), HasLife: true,
		})
	}
}

// again returns the answer for a user who was already logged in.
func (s *Server) again(known session) *raven.Response {
	return &raven.Response{
		Status: raven.StatusSuccess, Principal: known.user, PTags: s.ptags(),
		SSO:  []string{raven.AuthPassword},
		Life: time.Until(known.until), HasLife: true,
	}
}

// answer completes a copy of r, signs it, and redirects the browser to the agent with it.
func (s *Server) answer(
	w http.ResponseWriter, req *http.Request, asked *Request, r *raven.Response,
) {
	if r.Status != raven.StatusSuccess && asked.Fail {
		show(w, http.StatusForbidden, &page{Title: r.Status.Description(), Alert: r.Msg})
		return
	}
	complete := *r
	if complete.Version == 0 {
		complete.Version = asked.Version
	}
	if complete.Issue.IsZero() {
		complete.Issue = time.Now()
	}
	for into, value := range map[*string]string{
		&complete.ID: rand.Text(), &complete.URL: asked.URL, &complete.Params: asked.Params,
		&complete.KeyID: s.keyID(),
	} {
		if *into == "" {
			*into = value
		}
	}
	key, err := s.signingKey()
	if err != nil {
		show(w, http.StatusInternalServerError, &page{Title: "There is no key to sign with"})
		return
	}
	text, err := Sign(&complete, key)
	if err != nil {
		show(w, http.StatusInternalServerError, &page{Title: "The answer cannot be signed"})
		return
	}
	to := location(asked.URL, complete.Version, text)
	http.Redirect(w, req, to, http.StatusSeeOther) //nolint:gosec // the protocol: any site may ask
}
