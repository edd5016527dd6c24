package auth_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/countersign-go/countersign/auth"
)

// A told is a record of one call of Decided.
type told struct {
	by      auth.Authenticator
	subject string
	err     error
}

func tell(all *[]told) func(*http.Request, auth.Authenticator, *auth.Identity, error) {
	return func(_ *http.Request, by auth.Authenticator, id *auth.Identity, err error) {
		d := told{by: by, err: err}
		if id != nil {
			d.subject = id.Subject
		}
		*all = append(*all, d)
	}
}

// A signed request with another user's session is refused. The client is not asked to log in, since
// that would not help.
func TestTwoPeople_S5(t *testing.T) {
	first, second := accepts("ann"), accepts("bob\n")
	first.challenge, second.challenge = "A", "B x=1"
	var log bytes.Buffer
	var all []told
	for _, optional := range []bool{false, true} {
		all = nil
		log.Reset()
		g := auth.Guard{
			Stack:    auth.Stack{first, second},
			Optional: optional,
			Logger:   slog.New(slog.NewTextHandler(&log, nil)),
			Admit: func(*http.Request, *auth.Identity) (*auth.Identity, error) {
				t.Error("Admit was asked")
				return nil, errWrong
			},
			Decided: tell(&all),
		}
		w := get(g.Handler(whoami))
		if w.Code != 400 || w.Body.String() != "credentials of several people\n" ||
			w.Header().Get("WWW-Authenticate") != "" {
			t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
		}
		checkRefusal(t, "two people", w)
		if len(all) != 1 || all[0].by != second || all[0].subject != "bob\n" ||
			!errors.Is(all[0].err, auth.ErrConflict) {
			t.Errorf("Decided was told %v", all)
		}
		for _, want := range []string{"WARN", "scheme=B", "ann", `bob\\n`} {
			if !strings.Contains(log.String(), want) {
				t.Errorf("no %s in the log: %s", want, &log)
			}
		}
		// No member reported that its credentials are wrong.
		for _, heard := range second.heard {
			if heard != auth.ErrNone {
				t.Errorf("Challenge heard %v", heard)
			}
		}
	}
}

func TestAdmit(t *testing.T) {
	closed := errors.New("test: the account is closed")
	for _, tt := range []struct {
		reason string
		id     *auth.Identity // the result of Admit
		err    error
		status int
		body   string
	}{
		{"as it is", &auth.Identity{Subject: "ann"}, nil, 200, "ann"},
		{"by another name", &auth.Identity{Subject: "Ann Other"}, nil, 200, "Ann Other"},
		{"not welcome", nil, closed, 401, body401},
		{"an identity beside an error does not count",
			&auth.Identity{Subject: "eve"}, closed, 401, body401},
		{"not known to be welcome, S9", nil, auth.ErrUnavailable, 503, body503},
		{"too often", nil, auth.ErrLimited, 429, body429},
		{"nobody any more is not anonymous", nil, auth.ErrNone, 401, body401},
		{"neither identity nor error is a bug", nil, nil, 503, body503},
		{"so is an identity without a subject", &auth.Identity{}, nil, 503, body503},
	} {
		m := accepts("ann")
		m.challenge = "A x=1"
		var log bytes.Buffer
		var all []told
		g := auth.Guard{
			Stack: auth.Stack{refuses(auth.ErrNone), m}, Optional: true, Decided: tell(&all),
			Logger: slog.New(slog.NewTextHandler(&log, nil)),
			Admit: func(req *http.Request, id *auth.Identity) (*auth.Identity, error) {
				if req.URL.Path != "/page" || id != m.id {
					t.Errorf("%s: asked about %v", tt.reason, id)
				}
				return tt.id, tt.err
			},
		}
		w := get(g.Handler(whoami))
		if w.Code != tt.status || w.Body.String() != tt.body {
			t.Errorf("%s: %d %q, want %d %q", tt.reason, w.Code, w.Body, tt.status, tt.body)
		}
		who := "ann"
		if tt.status == 200 {
			who = tt.id.Subject
		}
		if len(all) != 1 || all[0].by != m || all[0].subject != who ||
			(all[0].err == nil) != (tt.status == 200) ||
			tt.err != nil && !errors.Is(all[0].err, tt.err) {
			t.Errorf("%s: Decided was told %v", tt.reason, all)
		}
		for _, heard := range m.heard {
			if heard != auth.ErrNone {
				t.Errorf("%s: the member heard %v, which it has not said", tt.reason, heard)
			}
		}
		if tt.status != 200 && !strings.Contains(log.String(), "scheme=A") {
			t.Errorf("%s: log %s", tt.reason, &log)
		}
	}
}

// Admit is not called for a request without credentials, or with wrong ones.
func TestAdmitIsForTheKnown(t *testing.T) {
	for _, err := range []error{auth.ErrNone, errWrong, auth.ErrUnavailable} {
		g := auth.Guard{Stack: auth.Stack{refuses(err)}, Optional: true,
			Admit: func(*http.Request, *auth.Identity) (*auth.Identity, error) {
				t.Errorf("%v: asked", err)
				return nil, nil
			}}
		if w := get(g.Handler(whoami)); (w.Code == 200) != (err == auth.ErrNone) {
			t.Errorf("%v: %d", err, w.Code)
		}
	}
}

// An application stores its own groups and closes accounts, independently of the scheme.
func ExampleGuard_admit() {
	groups := map[string][]string{"ann": {"editors"}}
	guard := &auth.Guard{
		Stack: auth.Stack{people},
		Admit: func(_ *http.Request, id *auth.Identity) (*auth.Identity, error) {
			known, ok := groups[id.Subject]
			if !ok {
				return nil, fmt.Errorf("%q has no account any more", id.Subject)
			}
			changed := *id
			changed.Groups = known
			return &changed, nil
		},
		Decided: func(_ *http.Request, _ auth.Authenticator, _ *auth.Identity, err error) {
			if err != nil {
				fmt.Println("kept out:", err)
			}
		},
	}
	page := guard.Handler(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		id, _ := auth.FromContext(req.Context())
		fmt.Fprintln(w, id.Subject, id.Groups)
	}))

	show(page, "ann", "correct horse")
	show(page, "bob", "battery staple")
	// Output:
	// 200 ann [editors]
	// kept out: "bob" has no account any more
	// 401 authentication required
}

// A request that is signed by ann and carries the session of bob is accepted from neither of them,
// unless sessions are ignored in signed requests.
func ExampleStack_conflict() {
	answer := func(session auth.Authenticator) {
		req := httptest.NewRequest("GET", "/", nil)
		req.SetBasicAuth("ann", "correct horse")
		req.AddCookie(&http.Cookie{Name: "session", Value: "c0ffee"})
		w := httptest.NewRecorder()
		auth.Require(http.HandlerFunc(greet), people, session).ServeHTTP(w, req)
		fmt.Print(w.Code, " ", w.Body)
	}
	answer(sessions{"c0ffee": "bob"})
	answer(unlessSigned{sessions{"c0ffee": "bob"}})
	// Output:
	// 400 credentials of several people
	// 200 hello, ann
}

// unlessSigned is an Authenticator that finds no credentials if there is an Authorization field.
type unlessSigned struct{ auth.Authenticator }

func (u unlessSigned) Authenticate(req *http.Request) (*auth.Identity, error) {
	if req.Header["Authorization"] != nil {
		return nil, auth.ErrNone
	}
	return u.Authenticator.Authenticate(req)
}
