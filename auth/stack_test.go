package auth_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/countersign-go/countersign/auth"
)

var errWrong = errors.New("test: wrong credentials")

// A member is an Authenticator with a fixed answer that counts how often it is asked.
type member struct {
	id        *auth.Identity
	err       error
	challenge string // "" if it has none
	asked     int
	heard     []error // the errors that Challenge was called with
}

func (m *member) Authenticate(*http.Request) (*auth.Identity, error) {
	m.asked++
	return m.id, m.err
}

func (m *member) Challenge(h http.Header, _ *http.Request, err error) {
	m.heard = append(m.heard, err)
	if m.challenge != "" {
		h.Add("WWW-Authenticate", m.challenge)
	}
}

func accepts(subject string) *member { return &member{id: &auth.Identity{Subject: subject}} }
func refuses(err error) *member      { return &member{err: err} }

func TestStack(t *testing.T) {
	down := fmt.Errorf("store: %w", auth.ErrUnavailable)
	for _, tt := range []struct {
		reason  string
		members []*member
		subject string
		err     error
		asked   []int
	}{
		{"nobody is asked, nobody is there", nil, "", auth.ErrNone, nil},
		{"nobody finds credentials",
			[]*member{refuses(auth.ErrNone), refuses(auth.ErrNone)}, "", auth.ErrNone, []int{1, 1}},
		{"two people contradict each other",
			[]*member{accepts("ann"), accepts("bob")}, "", auth.ErrConflict, []int{1, 1}},
		{"also where it takes a while to find the second",
			[]*member{accepts("ann"), refuses(auth.ErrNone), accepts("ann"), accepts("bob")},
			"", auth.ErrConflict, []int{1, 1, 1, 1}},
		{"and nobody behind is asked then",
			[]*member{accepts("ann"), accepts("bob"), accepts("ann")},
			"", auth.ErrConflict, []int{1, 1, 0}},
		{"two that agree", []*member{accepts("ann"), accepts("ann")}, "ann", nil, []int{1, 1}},
		{"subjects are compared to the byte",
			[]*member{accepts("ann"), accepts("Ann")}, "", auth.ErrConflict, []int{1, 1}},
		{"the first decides where the second finds nothing",
			[]*member{accepts("ann"), refuses(auth.ErrNone)}, "ann", nil, []int{1, 1}},
		{"the second decides where the first finds nothing",
			[]*member{refuses(auth.ErrNone), accepts("bob")}, "bob", nil, []int{1, 1}},
		{"absence may be explained",
			[]*member{refuses(fmt.Errorf("no header: %w", auth.ErrNone)), accepts("bob")},
			"bob", nil, []int{1, 1}},
		{"wrong credentials stop the stack, S5",
			[]*member{refuses(errWrong), accepts("bob")}, "", errWrong, []int{1, 0}},
		{"also behind right ones, S5",
			[]*member{accepts("ann"), refuses(errWrong), accepts("ann")},
			"", errWrong, []int{1, 1, 0}},
		{"too many stop the stack",
			[]*member{refuses(auth.ErrLimited), accepts("bob")}, "", auth.ErrLimited, []int{1, 0}},
		{"too many is no absence, whatever else the error says",
			[]*member{refuses(errors.Join(auth.ErrNone, auth.ErrLimited)), accepts("bob")},
			"", auth.ErrLimited, []int{1, 0}},
		{"an outage stops the stack, also behind right credentials",
			[]*member{accepts("ann"), refuses(down)}, "", auth.ErrUnavailable, []int{1, 1}},
		{"an outage stops the stack",
			[]*member{refuses(down), accepts("bob")}, "", auth.ErrUnavailable, []int{1, 0}},
		{"an outage is no absence, whatever else the error says",
			[]*member{refuses(errors.Join(auth.ErrNone, down)), accepts("bob")},
			"", auth.ErrUnavailable, []int{1, 0}},
		{"an identity beside an error does not count",
			[]*member{{id: &auth.Identity{Subject: "eve"}, err: errWrong}}, "", errWrong, []int{1}},
		{"an identity beside ErrNone does not count",
			[]*member{{id: &auth.Identity{Subject: "eve"}, err: auth.ErrNone}},
			"", auth.ErrNone, []int{1}},
		{"neither identity nor error is a bug, and no acceptance",
			[]*member{{}, accepts("bob")}, "", auth.ErrUnavailable, []int{1, 0}},
		{"so is an identity without a subject",
			[]*member{accepts("")}, "", auth.ErrUnavailable, []int{1}},
	} {
		var stack auth.Stack
		for _, m := range tt.members {
			stack = append(stack, m)
		}
		// Inside another Stack, the decision must be the same.
		for _, s := range []auth.Stack{stack, {auth.Stack{}, stack}} {
			for _, m := range tt.members {
				m.asked = 0
			}
			id, err := s.Authenticate(httptest.NewRequest("GET", "/", nil))
			if !errors.Is(err, tt.err) || (id == nil) != (tt.err != nil) {
				t.Errorf("%s: %v, %v; want %q, %v", tt.reason, id, err, tt.subject, tt.err)
				continue
			}
			if id != nil && id.Subject != tt.subject {
				t.Errorf("%s: %q, want %q", tt.reason, id.Subject, tt.subject)
			}
			for i, m := range tt.members {
				if m.asked != tt.asked[i] {
					t.Errorf("%s: member %d was asked %d times", tt.reason, i, m.asked)
				}
			}
		}
	}
}

// An error that wraps ErrNone means that there are no credentials, unless it also says that they
// could not be checked, were too many, or belong to several users.
func TestErrNone_S5(t *testing.T) {
	for _, tt := range []struct {
		reason string
		err    error
		passes bool // a Guard with Optional
	}{
		{"nothing", auth.ErrNone, true},
		{"a cookie that has ended", fmt.Errorf("%w: %w", auth.ErrNone, errWrong), true},
		{"the rule does not ask for the order", errors.Join(errWrong, auth.ErrNone), true},
		{"a refusal", errWrong, false},
		{"an outage", errors.Join(auth.ErrNone, auth.ErrUnavailable), false},
		{"too many", errors.Join(auth.ErrNone, auth.ErrLimited), false},
		{"several people", errors.Join(auth.ErrNone, auth.ErrConflict), false},
		{"no time left", errors.Join(auth.ErrNone, context.DeadlineExceeded), false},
	} {
		if code := get(auth.Optional(whoami, refuses(tt.err))).Code; (code == 200) != tt.passes {
			t.Errorf("%s: %d", tt.reason, code)
		}
	}
}

func TestNilMember(t *testing.T) {
	id, err := auth.Stack{nil, accepts("bob")}.Authenticate(httptest.NewRequest("GET", "/", nil))
	if id != nil || !errors.Is(err, auth.ErrUnavailable) {
		t.Errorf("a nil member: %v, %v; want ErrUnavailable", id, err)
	}
}

// A pointer to a Stack works as a Stack, each of whose members has a challenge.
func TestPointerToStack(t *testing.T) {
	one, two, three := refuses(auth.ErrNone), refuses(auth.ErrNone), refuses(auth.ErrNone)
	one.challenge, two.challenge, three.challenge = "One", "Two", "Three"
	w := get(auth.Require(whoami, &auth.Stack{one, &auth.Stack{two}}, three))
	got := fmt.Sprint(w.Header()["Www-Authenticate"])
	if w.Code != 401 || got != "[One Two Three]" {
		t.Errorf("%d, %s", w.Code, got)
	}
	if w := get(auth.Require(whoami, (*auth.Stack)(nil))); w.Code != 503 {
		t.Errorf("a nil one: %d, want 503", w.Code)
	}
}

// Members that agree on the subject give one identity: the first member's, with the groups of all
// and the earliest Expires. This is the identity that a handler would find if it asked each of
// them.
func TestMembersThatAgree(t *testing.T) {
	noon := time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)
	claims := map[string]any{"tenant": "7"}
	for _, tt := range []struct {
		reason string
		ids    []auth.Identity
		want   auth.Identity
	}{
		{"groups of both",
			[]auth.Identity{{Groups: []string{"g1"}}, {Groups: []string{"g2"}}},
			auth.Identity{Groups: []string{"g1", "g2"}}},
		{"in the other order",
			[]auth.Identity{{Groups: []string{"g2"}}, {Groups: []string{"g1"}}},
			auth.Identity{Groups: []string{"g2", "g1"}}},
		{"each once",
			[]auth.Identity{{Groups: []string{"a", "b"}}, {Groups: []string{"c", "a", "c"}}},
			auth.Identity{Groups: []string{"a", "b", "c"}}},
		{"the first knows of none",
			[]auth.Identity{{}, {Groups: []string{"g"}}, {}}, auth.Identity{Groups: []string{"g"}}},
		{"nothing is known", []auth.Identity{{}, {}}, auth.Identity{}},
		{"it is known that there are none",
			[]auth.Identity{{}, {Groups: []string{}}}, auth.Identity{Groups: []string{}}},
		{"of three",
			[]auth.Identity{{Groups: []string{"a"}}, {Groups: []string{"b"}},
				{Groups: []string{"c"}}},
			auth.Identity{Groups: []string{"a", "b", "c"}}},
		{"the earliest end",
			[]auth.Identity{{Expires: noon}, {Expires: noon.Add(-time.Hour)}, {}},
			auth.Identity{Expires: noon.Add(-time.Hour)}},
		{"the only end", []auth.Identity{{}, {Expires: noon}}, auth.Identity{Expires: noon}},
		{"scheme and claims of the first",
			[]auth.Identity{{Scheme: "MAC", Claims: claims},
				{Scheme: "Basic", Claims: map[string]any{"tenant": "8", "admin": true}}},
			auth.Identity{Scheme: "MAC", Claims: claims}},
		{"also where it has none",
			[]auth.Identity{{Scheme: "MAC"}, {Scheme: "Basic", Claims: claims}},
			auth.Identity{Scheme: "MAC"}},
	} {
		tt.want.Subject = "ann"
		var stack, before auth.Stack
		for _, id := range tt.ids {
			id.Subject = "ann"
			kept := id
			kept.Groups = slices.Clone(id.Groups)
			stack = append(stack, &member{id: &id})
			before = append(before, &member{id: &kept})
		}
		inner := auth.Stack{stack[0], stack[1:]}
		for _, s := range []auth.Stack{stack, inner} {
			id, err := s.Authenticate(httptest.NewRequest("GET", "/", nil))
			if err != nil || !reflect.DeepEqual(*id, tt.want) {
				t.Errorf("%s: %+v, %v; want %+v", tt.reason, id, err, tt.want)
			}
		}
		if !reflect.DeepEqual(ids(stack), ids(before)) {
			t.Errorf("%s: the members' own identities were changed: %v", tt.reason, ids(stack))
		}
	}
	// One request's identity must not share memory with another's.
	shared := &auth.Identity{Subject: "ann", Groups: slices.Grow([]string{"a"}, 5)}
	other := &auth.Identity{Subject: "ann", Groups: []string{"b"}}
	third := &auth.Identity{Subject: "ann", Groups: []string{"c"}}
	req := httptest.NewRequest("GET", "/", nil)
	one, _ := auth.Stack{&member{id: shared}, &member{id: other}}.Authenticate(req)
	two, _ := auth.Stack{&member{id: shared}, &member{id: third}}.Authenticate(req)
	if one.Groups[1] != "b" || two.Groups[1] != "c" {
		t.Errorf("%q and %q share their memory", one.Groups, two.Groups)
	}
}

func ids(s auth.Stack) []auth.Identity {
	var all []auth.Identity
	for _, m := range s {
		all = append(all, *m.(*member).id)
	}
	return all
}

// The order of the members does not change the response.
func TestOrderOfStack_S5(t *testing.T) {
	kinds := map[string]func() *member{
		"none":  func() *member { return refuses(auth.ErrNone) },
		"ann":   func() *member { return accepts("ann") },
		"bob":   func() *member { return accepts("bob") },
		"wrong": func() *member { return refuses(errWrong) },
	}
	for one, first := range kinds {
		for other, second := range kinds {
			a := get(auth.Optional(whoami, first(), second()))
			b := get(auth.Optional(whoami, second(), first()))
			// Some are both wrong and contradictory: the first problem found is the reason, and
			// both refuse.
			if a.Code != b.Code || a.Body.String() != b.Body.String() {
				t.Errorf("%s and %s: %d %q, %d %q", one, other, a.Code, a.Body, b.Code, b.Body)
			}
			if good := one != "wrong" && other != "wrong" &&
				(one == other || one == "none" || other == "none"); good != (a.Code == 200) {
				t.Errorf("%s and %s: %d", one, other, a.Code)
			}
		}
	}
}

// A checked member reports when it cannot let any request in.
type checked struct {
	*member
	err error
}

func (c checked) Check() error { return c.err }

func TestStackCheck(t *testing.T) {
	good := accepts("ann")
	for _, tt := range []struct {
		reason string
		stack  auth.Stack
		want   string // "" for no error
	}{
		{"members without a check", auth.Stack{good, good}, ""},
		{"one that is in order", auth.Stack{checked{good, nil}}, ""},
		{"none", nil, "is empty"},
		{"a nil one", auth.Stack{good, nil}, "member 2 of 2 is nil"},
		{"one that is not in order", auth.Stack{good, checked{good, errWrong}}, errWrong.Error()},
		{"in another Stack", auth.Stack{auth.Stack{checked{good, errWrong}}}, errWrong.Error()},
	} {
		err := tt.stack.Check()
		if (err == nil) != (tt.want == "") ||
			err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.reason, err, tt.want)
		}
	}
}
