package raven_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-go/countersign/raven"
)

type loginVectors struct {
	LoginURL  string      `json:"login_service_url"`
	LogoutURL string      `json:"logout_url"`
	Cases     []loginCase `json:"decorator_cases"`
	Expiry    []struct {
		Name    string
		Config  loginConfig
		Session *rowSession
		Expires *int64
		All     []struct {
			Reason string
			At     int64
		} `json:"expires_all"`
	} `json:"expiry_cases"`
}

type loginCase struct {
	Name      string
	Config    loginConfig
	AuthTypes []string `json:"known_auth_types"`
	OldPTags  []string `json:"old_version_ptags"`
	Now       int64
	Session   *rowSession
	Request   struct {
		Method, URL string
		Headers     map[string]string
	}
	Want  rowWant
	Level string
}

type loginConfig struct {
	Desc, Msg        *string
	AAuth            []string
	IAct             *bool
	MaxLife          *int64   `json:"max_life"`
	UseWLSLife       bool     `json:"use_wls_life"`
	InactiveTimeout  *int64   `json:"inactive_timeout"`
	IssueBounds      []int64  `json:"issue_bounds"`
	RequirePrincipal []string `json:"require_principal"`
	RequirePTags     []string `json:"require_ptags"`
	TrustRequestHost bool     `json:"can_trust_request_host"`
	TrustedHosts     []string `json:"trusted_hosts"`
}

// rowSession is a session in the form of the vectors.
type rowSession struct {
	Token string    `json:"params_token"`
	State *rowState `json:"state"`
}

type rowState struct {
	Principal       string
	PTags           []string
	Issue, Last     int64
	Life            *int64
	ResponseFailure bool `json:"response_failure"`
}

type rowWant struct {
	Status   int
	Redirect *struct {
		To, URL string
		Pairs   [][2]string
	}
	View    bool            `json:"view_called"`
	New     *bool           `json:"session_new"`
	After   json.RawMessage `json:"session_after"` // absent if the row leaves it open
	ErrorAt string          `json:"error_at"`
}

// storedState is the state in a session of this package.
type storedState struct {
	Spent string       `json:"spent,omitempty"`
	Lost  string       `json:"lost,omitempty"`
	Login *storedLogin `json:"login,omitempty"`
}

type storedLogin struct {
	Principal string   `json:"principal"`
	PTags     []string `json:"ptags"`
	Auth      string   `json:"auth,omitempty"`
	SSO       []string `json:"sso,omitempty"`
	Issue     int64    `json:"issue"`
	ID        string   `json:"id"`
	Life      *int64   `json:"life,omitempty"`
	Last      int64    `json:"last"`
}

func loadLoginVectors(t testing.TB) *loginVectors {
	t.Helper()
	text, err := os.ReadFile("testdata/webauth.json")
	if err != nil {
		t.Fatal(err)
	}
	var v loginVectors
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	return &v
}

// loginDecisions are the rows of decorator_cases with another result here, and the reasons. The
// test fails if such a row starts to behave as recorded, and if another row stops to.
//
// There is one more difference. Whenever an answer is accepted, its token is spent here, and the
// vectors keep it. The harness checks this for each such row.
var loginDecisions = map[string]struct{ want, why string }{
	"max life exactly reached": {"303 to the service, no view",
		"a login counts before Expires, as all credentials of this module do"},
	"login service life exactly reached": {"303 to the service, no view", "the same"},
	"idle limit exactly reached":         {"303 to the service, no view", "the same"},
	"logout":                             {"405, no view", "another site can send a GET"},
}

// loginChoices are the rows of decorator_cases that leave a choice and have the recorded result
// here, and the reasons.
var loginChoices = map[string]string{
	"success v1": "a service may answer in version 1 whatever it was asked in",
	"success v2 takes configured ptags": "version 2 has none, and a Service knows whom its own " +
		"answers are about",
}

// rotatedRows is the number of rows in which an answer is accepted.
const rotatedRows = 29

func TestLoginVectors(t *testing.T) {
	v, log := loadLoginVectors(t), loadVectors(t)
	rows, decided, rotated := 0, 0, 0
	for i := range v.Cases {
		c := &v.Cases[i]
		rows++
		_, chosen := loginChoices[c.Name]
		if _, ok := loginDecisions[c.Name]; c.Level == "choice" && chosen == ok {
			t.Errorf("%s: the choice is not decided in writing", c.Name)
		}
		t.Run(c.Name, func(t *testing.T) {
			b := newBrowser(t, c.Config.login(v, log.service(t, "1", "2", "901"), c))
			if c.Want.ErrorAt != "" {
				if err := b.login.Check(); err == nil || !strings.Contains(err.Error(), "BaseURL") {
					t.Errorf("no error at construction: %v", err)
				}
				return
			}
			synctest.Test(t, func(t *testing.T) {
				b.t = t
				got, wasRotated := runRow(b, v, c)
				if wasRotated {
					rotated++
				}
				want := c.Want.text(b, v)
				if d, ok := loginDecisions[c.Name]; ok {
					decided++
					if got.summary() != d.want {
						t.Errorf("got %s, want %s (%s)", got.summary(), d.want, d.why)
					}
					if got.text == want {
						t.Errorf("it is as recorded; the decision says otherwise")
					}
				} else if got.text != want {
					t.Errorf("\n got %s\nwant %s", got.text, want)
				}
			})
		})
	}
	if rows != len(v.Cases) || rows != 93 || decided != len(loginDecisions) {
		t.Errorf("ran %d of %d rows, decided %d of %d", rows, len(v.Cases), decided,
			len(loginDecisions))
	}
	if rotated != rotatedRows {
		t.Errorf("%d rows have a token spent, want %d", rotated, rotatedRows)
	}
}

// replayed are the rows whose session another row creates. That row runs first, because other
// things that it leaves behind also matter.
var replayed = map[string]string{"same response replayed into the logged-in session": "success"}

// runRow runs a row, and returns the result in the terms of the vectors.
func runRow(b *browser, v *loginVectors, c *loginCase) (got rowResult, rotated bool) {
	time.Sleep(time.Until(time.Unix(c.Now, 0)))
	if first, ok := replayed[c.Name]; ok {
		i := slices.IndexFunc(v.Cases, func(c loginCase) bool { return c.Name == first })
		before := &v.Cases[i]
		b.restore(before.Session)
		if b.get(before.Request.URL); b.code != http.StatusSeeOther || b.stored().Login == nil {
			b.t.Fatalf("%s: %d", first, b.code)
		}
		b.opened, b.viewed = 0, 0
	} else if c.Session != nil {
		b.restore(c.Session)
	}
	if strings.HasSuffix(c.Request.URL, "/logout") {
		b.handler = http.HandlerFunc(b.login.Logout)
	}
	before := b.waiting()
	b.send(c.Request.Method, c.Request.URL)
	got = rowResult{status: b.code, to: b.header.Get("Location"), viewed: b.viewed > 0}
	after, pending := b.stored(), b.waiting()
	rotated = strings.HasPrefix(got.to, "https://app.example.org/")
	if rotated {
		spent := cmp.Or(pending.Spent, after.Spent)
		if pending.Token != "" || spent != before.Token || spent == "" {
			b.t.Errorf("the token is not spent: %+v, %+v", after, pending)
		}
		pending.Token = before.Token
	}
	got.text = rowText(got.status, got.to, got.viewed)
	if c.Want.New != nil {
		got.text += fmt.Sprintf(" new=%t", b.opened > 0)
	}
	if c.Want.After != nil {
		got.text += " after " + rowStateText(after, pending.Token, pending.Failed != nil)
	}
	return got, rotated
}

type rowResult struct {
	status int
	to     string
	viewed bool
	text   string
}

func (r rowResult) summary() string {
	text := fmt.Sprint(r.status)
	if strings.HasPrefix(r.to, "https://login.example.test/auth/authenticate.html?") {
		text += " to the service"
	}
	if r.viewed {
		return text + ", view"
	}
	return text + ", no view"
}

func rowText(status int, to string, viewed bool) string {
	return fmt.Sprintf("%d to=%q view=%t", status, to, viewed)
}

// text returns a want in the form of the text of a rowResult. A token made by the peer stands for
// the token made here.
func (w *rowWant) text(b *browser, v *loginVectors) string {
	const made = "AAECAwQFBgcICQoLDA0ODxAR"
	ours := b.waiting().Token
	to := ""
	if r := w.Redirect; r != nil {
		switch r.To {
		case "self":
			to = r.URL
		case "logout":
			to = v.LogoutURL
		default:
			to = b.header.Get("Location")
			if r.Pairs != nil {
				to = v.LoginURL
			}
			for i, pair := range r.Pairs {
				if pair[1] == made {
					pair[1] = ours
				}
				to += []string{"&", "?"}[min(1, max(0, 1-i))] + pair[0] + "=" +
					url.QueryEscape(pair[1])
			}
		}
	}
	text := rowText(w.Status, to, w.View)
	if w.New != nil {
		text += fmt.Sprintf(" new=%t", *w.New)
	}
	if w.After != nil {
		var after *rowSession
		if err := json.Unmarshal(w.After, &after); err != nil {
			b.t.Fatal(err)
		}
		if after == nil {
			after = new(rowSession)
		}
		if after.Token == made {
			after.Token = ours
		}
		text += " after " + rowStateText(after.stored(), after.Token, after.failed())
	}
	return text
}

// rowStateText returns the text of a session in the form of the vectors. Here the browser keeps a
// part of it.
func rowStateText(s *storedState, token string, failed bool) string {
	text := "token=" + token
	if failed {
		text += " failed"
	}
	if s.Login == nil {
		return text
	}
	life := "none"
	if s.Login.Life != nil {
		life = fmt.Sprint(*s.Login.Life)
	}
	ptags := slices.Sorted(slices.Values(s.Login.PTags))
	return text + fmt.Sprintf(" %s %v issue=%d life=%s last=%d", s.Login.Principal, ptags,
		s.Login.Issue, life, s.Login.Last)
}

func (s *rowSession) failed() bool { return s.State != nil && s.State.ResponseFailure }

// restore gives the browser a session of the vectors: the server's part if a user has logged in or
// the session is otherwise empty, and the browser's part if a login is pending.
func (b *browser) restore(s *rowSession) {
	b.t.Helper()
	if state := s.stored(); state.Login != nil || s.Token == "" {
		b.store(state)
	}
	p := raven.Pending{Token: s.Token}
	if s.failed() {
		p.Failed = &raven.PendingFailure{Status: raven.StatusCancelled}
	}
	if p.Token != "" || p.Failed != nil {
		b.pending = b.login.PendingCookie(p)
	}
}

// stored returns the server's part of a session of the vectors.
func (s *rowSession) stored() *storedState {
	out := &storedState{}
	if s != nil && s.State != nil && s.State.Principal != "" {
		out.Login = &storedLogin{Principal: s.State.Principal, PTags: s.State.PTags,
			Issue: s.State.Issue, Last: s.State.Last, Life: s.State.Life, ID: "of the row"}
	}
	return out
}

// login returns a Login with the settings of a row.
func (c *loginConfig) login(
	v *loginVectors, service *raven.Service, row *loginCase,
) *raven.Login {
	service.LoginURL, service.LogoutURL = v.LoginURL, v.LogoutURL
	l := &raven.Login{
		Service: service, BaseURL: "https://app.example.org",
		Desc: value(c.Desc), Msg: value(c.Msg), AAuth: c.AAuth,
		IgnoreWLSLife:    !c.UseWLSLife,
		MaxLife:          -1,
		RequirePrincipal: c.RequirePrincipal, RequirePTags: c.RequirePTags,
		AnyPTags: c.RequirePTags == nil,
	}
	if row != nil {
		service.AuthTypes, service.PTags = row.AuthTypes, row.OldPTags
		if !c.TrustRequestHost && c.TrustedHosts == nil {
			l.BaseURL = "" // the counterpart of this setting
		}
	}
	if c.IAct != nil {
		if l.IAct = raven.MustNot; *c.IAct {
			l.IAct = raven.Must
		}
	}
	if c.MaxLife != nil {
		l.MaxLife = time.Duration(*c.MaxLife) * time.Second
	}
	if c.InactiveTimeout != nil {
		l.InactiveTimeout = time.Duration(*c.InactiveTimeout) * time.Second
	}
	for i, bound := range c.IssueBounds {
		if l.IssueBounds[i] = time.Duration(bound) * time.Second; bound == 0 {
			l.IssueBounds[i] = -1
		}
	}
	return l
}

func TestExpiryVectors(t *testing.T) {
	v, keys := loadLoginVectors(t), loadVectors(t)
	rows := 0
	for _, c := range v.Expiry {
		rows++
		t.Run(c.Name, func(t *testing.T) {
			l := c.Config.login(v, keys.service(t, "1"), nil)
			l.AnyPTags = true
			b := newBrowser(t, l)
			synctest.Test(t, func(t *testing.T) {
				b.t = t
				state := c.Session.stored()
				if state.Login != nil {
					// Reading the session takes a request.
					time.Sleep(time.Until(time.Unix(state.Login.Last, 0)))
				}
				b.store(state)
				b.get("https://app.example.org/secret")
				if (b.session != nil) != (state.Login != nil) {
					t.Fatalf("%d, session %+v", b.code, b.session)
				}
				if b.session == nil {
					return
				}
				want := []raven.Limit(nil)
				for _, limit := range c.All {
					want = append(want, raven.Limit{Reason: limit.Reason,
						At: time.Unix(limit.At, 0)})
				}
				if !reflect.DeepEqual(b.session.Limits, want) {
					t.Errorf("limits %v, want %v", b.session.Limits, want)
				}
				expires := time.Time{}
				if c.Expires != nil {
					expires = time.Unix(*c.Expires, 0)
				}
				if !b.session.Expires().Equal(expires) || b.id.Expires != b.session.Expires() {
					t.Errorf("expires %v, want %v", b.session.Expires(), expires)
				}
			})
		})
	}
	if rows != 9 || rows != len(v.Expiry) {
		t.Errorf("ran %d of %d rows", rows, len(v.Expiry))
	}
}
