package auth_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/bearer"
	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/mac"
)

func TestAll(t *testing.T) {
	down := fmt.Errorf("store: %w", auth.ErrUnavailable)
	partial := errors.New("some, but not all")
	for _, tt := range []struct {
		reason  string
		members []*member
		subject string
		err     error // partial: any refusal
		asked   []int
	}{
		{"no member", nil, "", auth.ErrNone, nil},
		{"no credentials",
			[]*member{refuses(auth.ErrNone), refuses(auth.ErrNone)}, "", auth.ErrNone, []int{1, 1}},
		{"the last one names the subject",
			[]*member{accepts("client-7"), accepts("ann")}, "ann", nil, []int{1, 1}},
		{"of three", []*member{accepts("a"), accepts("b"), accepts("c")}, "c", nil, []int{1, 1, 1}},
		{"only one member", []*member{accepts("ann")}, "ann", nil, []int{1}},
		{"the first alone", []*member{accepts("client-7"), refuses(auth.ErrNone)},
			"", partial, []int{1, 1}},
		{"the last alone", []*member{refuses(auth.ErrNone), accepts("ann")},
			"", partial, []int{1, 1}},
		{"absence may be explained",
			[]*member{refuses(fmt.Errorf("ended: %w", auth.ErrNone)), accepts("ann")},
			"", partial, []int{1, 1}},
		{"wrong credentials, S5", []*member{refuses(errWrong), accepts("ann")},
			"", errWrong, []int{1, 0}},
		{"also behind right ones, S5", []*member{accepts("client-7"), refuses(errWrong)},
			"", errWrong, []int{1, 1}},
		{"also behind none, S5", []*member{refuses(auth.ErrNone), refuses(errWrong)},
			"", errWrong, []int{1, 1}},
		{"an outage", []*member{accepts("client-7"), refuses(down)},
			"", auth.ErrUnavailable, []int{1, 1}},
		{"an outage behind none", []*member{refuses(auth.ErrNone), refuses(down)},
			"", auth.ErrUnavailable, []int{1, 1}},
		{"too many", []*member{refuses(auth.ErrLimited), accepts("ann")},
			"", auth.ErrLimited, []int{1, 0}},
		{"an identity beside an error does not count",
			[]*member{accepts("a"), {id: &auth.Identity{Subject: "eve"}, err: errWrong}},
			"", errWrong, []int{1, 1}},
		{"an identity beside ErrNone does not count",
			[]*member{accepts("a"), {id: &auth.Identity{Subject: "eve"}, err: auth.ErrNone}},
			"", partial, []int{1, 1}},
		{"neither identity nor error is a bug, and no acceptance",
			[]*member{{}, accepts("ann")}, "", auth.ErrUnavailable, []int{1, 0}},
		{"so is an identity without a subject",
			[]*member{accepts("client-7"), accepts("")}, "", auth.ErrUnavailable, []int{1, 1}},
	} {
		var all auth.All
		for _, m := range tt.members {
			all = append(all, m)
		}
		// Inside other groups, the decision must be the same.
		for i, a := range []auth.Authenticator{
			all, &all, auth.All{all}, auth.All{auth.Stack{all}}, auth.Stack{auth.Stack{}, &all},
		} {
			for _, m := range tt.members {
				m.asked = 0
			}
			id, err := a.Authenticate(httptest.NewRequest("GET", "/", nil))
			if (id == nil) != (tt.err != nil) || (err == nil) != (tt.err == nil) {
				t.Errorf("%s, shape %d: %v, %v; want %v", tt.reason, i, id, err, tt.err)
				continue
			}
			if tt.err == partial {
				if errors.Is(err, auth.ErrNone) || auth.Status(err) != 401 {
					t.Errorf("%s, shape %d: %v is not a refusal", tt.reason, i, err)
				}
			} else if !errors.Is(err, tt.err) {
				t.Errorf("%s, shape %d: %v, want %v", tt.reason, i, err, tt.err)
			}
			if id != nil && id.Subject != tt.subject {
				t.Errorf("%s, shape %d: %q, want %q", tt.reason, i, id.Subject, tt.subject)
			}
			for j, m := range tt.members {
				if m.asked != tt.asked[j] {
					t.Errorf("%s, shape %d: member %d was asked %d times", tt.reason, i, j, m.asked)
				}
			}
		}
	}
}

// The order of the members does not change the response, except for the subject.
func TestOrderOfAll_S5(t *testing.T) {
	kinds := map[string]func() *member{
		"none":  func() *member { return refuses(auth.ErrNone) },
		"ann":   func() *member { return accepts("ann") },
		"bob":   func() *member { return accepts("bob") },
		"wrong": func() *member { return refuses(errWrong) },
	}
	for one, first := range kinds {
		for other, second := range kinds {
			a := get(auth.Optional(whoami, auth.All{first(), second()}))
			b := get(auth.Optional(whoami, auth.All{second(), first()}))
			if a.Code != b.Code {
				t.Errorf("%s and %s: %d and %d", one, other, a.Code, b.Code)
			}
			right := func(kind string) bool { return kind == "ann" || kind == "bob" }
			passes := right(one) && right(other) || one == "none" && other == "none"
			if (a.Code == 200) != passes {
				t.Errorf("%s and %s: %d", one, other, a.Code)
			}
			if a.Code == 200 && one != "none" && a.Body.String() != other {
				t.Errorf("%s and %s: %s is let in", one, other, a.Body)
			}
		}
	}
}

// The last member provides the identity, with the earliest Expires of all members.
func TestIdentityOfAll(t *testing.T) {
	noon := time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)
	claims := map[string]any{"tenant": "7"}
	last := auth.Identity{Subject: "ann", Scheme: "Bearer", Groups: []string{"g"}, Claims: claims}
	ends := func(id auth.Identity, at time.Time) auth.Identity { id.Expires = at; return id }
	for _, tt := range []struct {
		reason string
		ids    []auth.Identity
		want   auth.Identity
	}{
		{"groups, claims and scheme of the last",
			[]auth.Identity{{Subject: "client-7", Scheme: "MAC", Groups: []string{"clients"},
				Claims: map[string]any{"admin": true}}, last}, last},
		{"the first ends earlier",
			[]auth.Identity{{Subject: "c", Expires: noon}, ends(last, noon.Add(1))},
			ends(last, noon)},
		{"the first ends alone", []auth.Identity{{Subject: "c", Expires: noon}, last},
			ends(last, noon)},
		{"the last ends earlier",
			[]auth.Identity{{Subject: "c", Expires: noon.Add(1)}, ends(last, noon)},
			ends(last, noon)},
		{"one in between",
			[]auth.Identity{{Subject: "c"}, {Subject: "d", Expires: noon}, {Subject: "e"}, last},
			ends(last, noon)},
	} {
		var all auth.All
		for _, id := range tt.ids {
			all = append(all, &member{id: &id})
		}
		id, err := all.Authenticate(httptest.NewRequest("GET", "/", nil))
		if err != nil || !reflect.DeepEqual(*id, tt.want) {
			t.Errorf("%s: %+v, %v; want %+v", tt.reason, id, err, tt.want)
		}
		for i, m := range all {
			if !reflect.DeepEqual(*m.(*member).id, tt.ids[i]) {
				t.Errorf("%s: the identity of member %d was changed", tt.reason, i)
			}
		}
	}
}

func TestNilMemberOfAll(t *testing.T) {
	for _, all := range []auth.All{
		{nil, accepts("ann")}, {accepts("ann"), nil}, {accepts("ann"), (*auth.Stack)(nil)},
		{(*auth.All)(nil), accepts("ann")},
	} {
		id, err := all.Authenticate(httptest.NewRequest("GET", "/", nil))
		if id != nil || !errors.Is(err, auth.ErrUnavailable) {
			t.Errorf("%v: %v, %v; want ErrUnavailable", all, id, err)
		}
		if w := get(auth.Require(whoami, all)); w.Code != 503 {
			t.Errorf("%v: %d, want 503", all, w.Code)
		}
	}
}

// TestAllCheck covers the mistakes that a program can find when it starts.
func TestAllCheck(t *testing.T) {
	good := accepts("ann")
	for _, tt := range []struct {
		all  auth.All
		want string
	}{
		{auth.All{good, auth.Stack{good}}, ""},
		{nil, "the All is empty"},
		{auth.All{good, nil}, "member 2 of 2 is nil"},
		{auth.All{good, auth.Stack{}}, "the Stack is empty"},
	} {
		err := tt.all.Check()
		if (err == nil) != (tt.want == "") ||
			err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v: %v, want %q", tt.all, err, tt.want)
		}
	}
}

// A Guard asks each member of an All for its challenge. Each member gets only its own error.
func TestChallengesOfAll(t *testing.T) {
	for _, tt := range []struct {
		reason string
		errs   [4]error // of members in auth.Stack{0, auth.All{1, auth.Stack{2}}, 3}
		heard  [4]error
		scheme string // in the log
	}{
		{"no credentials", [4]error{auth.ErrNone, auth.ErrNone, auth.ErrNone, auth.ErrNone},
			[4]error{auth.ErrNone, auth.ErrNone, auth.ErrNone, auth.ErrNone}, "none"},
		{"the first of the All is wrong", [4]error{auth.ErrNone, errWrong, nil, nil},
			[4]error{auth.ErrNone, errWrong, auth.ErrNone, auth.ErrNone}, "B"},
		{"the second is", [4]error{nil, nil, errWrong, nil},
			[4]error{auth.ErrNone, auth.ErrNone, errWrong, auth.ErrNone}, "C"},
		{"the second is missing", [4]error{auth.ErrNone, nil, auth.ErrNone, nil},
			[4]error{auth.ErrNone, auth.ErrNone, auth.ErrNone, auth.ErrNone}, "C"},
		{"one behind it is wrong", [4]error{auth.ErrNone, nil, nil, errWrong},
			[4]error{auth.ErrNone, auth.ErrNone, auth.ErrNone, errWrong}, "D"},
	} {
		var members [4]*member
		for i, err := range tt.errs {
			members[i] = &member{err: err, challenge: string(rune('A' + i))}
			if err == nil {
				members[i].id = &auth.Identity{Subject: "ann"}
			}
		}
		var log bytes.Buffer
		all := auth.All{members[1], auth.Stack{members[2]}}
		g := auth.Guard{Stack: auth.Stack{members[0], &all, members[3]},
			Logger: slog.New(slog.NewTextHandler(&log, nil))}
		w := get(g.Handler(whoami))
		want := []string{"A", "B", "C", "D"}
		if got := w.Header()["Www-Authenticate"]; w.Code != 401 || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %d with %q", tt.reason, w.Code, got)
		}
		for i, m := range members {
			if len(m.heard) != 1 || m.heard[0] != tt.heard[i] {
				t.Errorf("%s: member %d heard %v, want %v", tt.reason, i, m.heard, tt.heard[i])
			}
		}
		if !strings.Contains(log.String(), "scheme="+tt.scheme+" ") {
			t.Errorf("%s: want scheme %s in %s", tt.reason, tt.scheme, &log)
		}
	}
}

// A nonced Authenticator asks for a signature in its own fields, and sends a nonce in responses.
type nonced struct{ member }

func (*nonced) Challenge(h http.Header, _ *http.Request, _ error) {
	h.Add("Accept-Signature", `sig=("@method");created`)
	h.Add("Nonce", "n1")
}

func (*nonced) Respond(h http.Header, req *http.Request, id *auth.Identity) {
	h.Add("Nonce", id.Subject+" at "+req.URL.Path)
}

// A challenge may use fields other than WWW-Authenticate.
func TestChallengeInOtherFields(t *testing.T) {
	var log bytes.Buffer
	other := refuses(auth.ErrNone)
	other.challenge = "MAC"
	for _, stack := range []auth.Stack{
		{&nonced{member{err: errWrong}}}, {&nonced{member{err: auth.ErrNone}}, other},
	} {
		log.Reset()
		g := auth.Guard{Stack: stack, Logger: slog.New(slog.NewTextHandler(&log, nil))}
		h := get(g.Handler(whoami)).Header()
		if h.Get("Accept-Signature") == "" || h.Get("Nonce") != "n1" {
			t.Errorf("%v", h)
		}
		if (h.Get("WWW-Authenticate") == "MAC") != (len(stack) == 2) {
			t.Errorf("%v", h)
		}
		if strings.Contains(log.String(), "ERROR") {
			t.Errorf("logged as a mistake: %s", &log)
		}
	}
}

// TestRespond checks that members that accept a request add fields to the response.
func TestRespond(t *testing.T) {
	page := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if w.Header().Get("Nonce") == "" {
			t.Error("the handler is called before Respond")
		}
		w.Header().Add("Nonce", "of the handler")
	})
	mine := func(subject string) *nonced {
		return &nonced{member{id: &auth.Identity{Subject: subject}}}
	}
	none := &nonced{member{err: auth.ErrNone}}
	for _, tt := range []struct {
		reason string
		stack  auth.Stack
		want   []string
	}{
		{"one", auth.Stack{mine("ann")}, []string{"ann"}},
		{"not those that found nothing", auth.Stack{none, mine("ann"), none}, []string{"ann"}},
		{"two that agree", auth.Stack{mine("ann"), mine("ann")}, []string{"ann", "ann"}},
		{"those of an All, each with its own identity",
			auth.Stack{none, auth.All{mine("client-7"), accepts("x"), mine("ann")}},
			[]string{"client-7", "ann"}},
	} {
		g := auth.Guard{Stack: tt.stack,
			Admit: func(*http.Request, *auth.Identity) (*auth.Identity, error) {
				return &auth.Identity{Subject: "Ann Other"}, nil
			}}
		w := get(g.Handler(page))
		var want []string
		for _, name := range tt.want {
			want = append(want, name+" at /page")
		}
		if got := w.Header()["Nonce"]; !reflect.DeepEqual(got, append(want, "of the handler")) {
			t.Errorf("%s: %q, want %q and the handler's", tt.reason, got, want)
		}
	}
	// No member accepts an anonymous request.
	anonymous := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if len(w.Header()) != 0 {
			t.Errorf("an anonymous request is answered with %v", w.Header())
		}
	})
	get(auth.Optional(anonymous, none))
}

// TestScope sends right credentials that do not suffice. Only their schemes are asked for a
// challenge.
func TestScope(t *testing.T) {
	lacking := &auth.ScopeError{Scope: "write"}
	for _, tt := range []struct {
		reason string
		errs   [3]error // of the members
		admit  error
		heard  [3]error // nil: not asked
	}{
		{"Admit says so", [3]error{auth.ErrNone, nil, auth.ErrNone}, lacking,
			[3]error{nil, lacking, nil}},
		{"a member says so", [3]error{auth.ErrNone, nil, lacking}, nil,
			[3]error{nil, nil, lacking}},
	} {
		var members [3]*member
		var stack auth.Stack
		for i, err := range tt.errs {
			members[i] = &member{err: err, challenge: string(rune('A' + i))}
			if err == nil {
				members[i].id = &auth.Identity{Subject: "ann"}
			}
			stack = append(stack, members[i])
		}
		limiter := &auth.Limiter{Every: time.Hour, Burst: 1}
		g := auth.Guard{Stack: stack, Optional: true, Decided: limiter.Decided}
		if tt.admit != nil {
			g.Admit = func(*http.Request, *auth.Identity) (*auth.Identity, error) {
				return nil, fmt.Errorf("wrapped: %w", tt.admit)
			}
		}
		h := limiter.Handler(g.Handler(whoami))
		want := ""
		for i := range members {
			if tt.heard[i] != nil {
				want = members[i].challenge
			}
		}
		for range 3 { // these are not guesses, so they are not limited
			w := get(h)
			got := strings.Join(w.Header()["Www-Authenticate"], " ")
			if w.Code != 403 || got != want || w.Body.String() != "insufficient scope\n" {
				t.Errorf("%s: %d %q with %q, want %q", tt.reason, w.Code, w.Body, got, want)
			}
			checkRefusal(t, tt.reason, w)
		}
		for i, m := range members {
			for _, heard := range m.heard {
				if tt.heard[i] == nil || !errors.Is(heard, tt.heard[i]) {
					t.Errorf("%s: member %d heard %v, want %v", tt.reason, i, heard, tt.heard[i])
				}
			}
		}
	}
}

// A client signs its requests, and also sends the token of the user for whom it makes them. Neither
// suffices without the other. The token names the subject.
func ExampleAll() {
	credentials := &mac.Credentials{ID: "client-7", Key: creds.Secret("an example of a key")}
	clients := &mac.Verifier{Keys: func(_ context.Context, id string) (*mac.Key, error) {
		if id != credentials.ID {
			return nil, mac.ErrUnknownID
		}
		return &mac.Key{Secret: credentials.Key}, nil
	}}
	users := &bearer.Verifier{
		Header: "X-User-Token",
		Check: func(_ context.Context, token creds.Secret) (*auth.Identity, error) {
			if string(token) != "token-of-ann" {
				return nil, bearer.ErrRefused
			}
			return &auth.Identity{Subject: "ann"}, nil
		},
	}
	page := auth.Require(http.HandlerFunc(greet), auth.All{clients, users})

	ask := func(signed bool, token string) {
		req := httptest.NewRequest("GET", "/", nil)
		if token != "" {
			req.Header.Set("X-User-Token", token)
		}
		if signed {
			if err := (&mac.Signer{Source: credentials}).Sign(req, time.Now()); err != nil {
				fmt.Println(err)
			}
		}
		w := httptest.NewRecorder()
		page.ServeHTTP(w, req)
		fmt.Print(w.Code, " ", w.Body)
	}
	ask(true, "token-of-ann")
	ask(true, "")
	ask(false, "token-of-ann")
	ask(true, "another")
	// Output:
	// 200 hello, ann
	// 401 authentication required
	// 401 authentication required
	// 401 authentication required
}
