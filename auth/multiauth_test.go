package auth_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"slices"
	"testing"

	"github.com/countersign-go/countersign/auth"
)

// A policy is a member of a stack of pyramid_multiauth. It corresponds to a member of an auth.Stack
// as follows:
//
//   - A user whom the policy proves is its identity, and the other principals of that user are the
//     Groups. A user whom it only names (unauthenticated) is not a credential, so the member
//     returns ErrNone.
//   - Admit adds the principals of a policy without a user, which come from an address for
//     instance, and the groups of the group finder. There, the application has the request and the
//     user.
//   - Each header field with which the policy asks for credentials (forget) is a separate
//     challenge.
type policy struct {
	Name            string
	Authenticated   *string
	Unauthenticated *string
	Principals      []string
	Forget          [][2]string
}

func (p policy) known() bool { return p.Authenticated != nil }

// attributes returns the principals except those that every user has.
func (p policy) attributes() []string {
	return slices.DeleteFunc(slices.Clone(p.Principals), func(name string) bool {
		return name == "Everyone" || name == "Authenticated" ||
			p.known() && name == *p.Authenticated
	})
}

func (p policy) Authenticate(*http.Request) (*auth.Identity, error) {
	if !p.known() {
		return nil, auth.ErrNone
	}
	return &auth.Identity{Subject: *p.Authenticated, Scheme: p.Name, Groups: p.attributes()}, nil
}

// A shy policy finds no credentials, and only challenges.
type shy struct {
	policy
	field [2]string
}

func (shy) Authenticate(*http.Request) (*auth.Identity, error) { return nil, auth.ErrNone }

func (s shy) Challenge(h http.Header, _ *http.Request, _ error) {
	h.Add("WWW-Authenticate", s.field[0]+" "+s.field[1])
}

type multiauthCase struct {
	Name     string
	Policies []policy
	Groups   map[string][]string // nil if there is no group finder
	Want     map[string]any
}

// run returns the result of a row of the vectors with a Guard, in the terms of the vectors.
func (c multiauthCase) run() map[string]any {
	var stack auth.Stack
	var attributes []string
	for _, p := range c.Policies {
		stack = append(stack, p)
		if !p.known() {
			attributes = append(attributes, p.attributes()...)
		}
	}
	decided, found := []any{}, []any{}
	var seen *auth.Identity
	guard := &auth.Guard{
		Stack: stack,
		Admit: func(_ *http.Request, id *auth.Identity) (*auth.Identity, error) {
			changed := *id
			changed.Groups = slices.Concat(id.Groups, attributes)
			if c.Groups != nil {
				found = append(found, event(id.Scheme, id))
				groups, ok := c.Groups[id.Subject]
				if !ok {
					return nil, errors.New("test: no such member")
				}
				changed.Groups = append(changed.Groups, groups...)
			}
			return &changed, nil
		},
		Decided: func(_ *http.Request, by auth.Authenticator, id *auth.Identity, _ error) {
			if p, ok := by.(policy); ok {
				decided = append(decided, event(p.Name, id))
			}
		},
	}
	w := get(guard.Handler(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		seen, _ = auth.FromContext(req.Context())
	})))
	got := map[string]any{
		"status": float64(w.Code), "authenticated": nil, "unauthenticated": nil,
		"events_authenticated": decided, "events_principals": found, "forget": c.challenges(),
	}
	principals := []string{"Everyone"}
	if seen != nil {
		got["authenticated"], got["unauthenticated"] = seen.Subject, seen.Subject
		principals = slices.Concat(principals, []string{"Authenticated", seen.Subject}, seen.Groups)
	}
	got["principals"] = sorted(principals)
	return got
}

func event(name string, id *auth.Identity) map[string]any {
	e := map[string]any{"policy": name, "userid": nil}
	if id != nil {
		e["userid"] = id.Subject
	}
	return e
}

// sorted returns names as a JSON list in order, without duplicates.
func sorted(names []string) []any {
	slices.Sort(names)
	list := []any{}
	for _, name := range slices.Compact(names) {
		list = append(list, name)
	}
	return list
}

// challenges returns the challenges to a request without credentials.
func (c multiauthCase) challenges() []any {
	var stack auth.Stack
	for _, p := range c.Policies {
		for _, field := range p.Forget {
			stack = append(stack, shy{p, field})
		}
	}
	list := []any{}
	w := httptest.NewRecorder()
	auth.Require(whoami, stack).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	for _, line := range w.Header().Values("WWW-Authenticate") {
		list = append(list, line)
	}
	return list
}

// expect converts the peer's responses to the form that run returns.
func (c multiauthCase) expect() map[string]any {
	want := c.Want
	delete(want, "remember")
	want["status"] = float64(http.StatusOK)
	if want["authenticated"] == nil {
		want["status"] = float64(http.StatusUnauthorized)
	}
	fields := []any{}
	for _, field := range want["forget"].([]any) {
		pair := field.([]any)
		fields = append(fields, pair[0].(string)+" "+pair[1].(string))
	}
	want["forget"] = fields
	return want
}

// TestMultiauth runs the rows of testdata/multiauth.json, which hold the responses of a stack of
// pyramid_multiauth. Where ours differ, testdata/multiauth_ours.json has our response and the
// reason.
func TestMultiauth(t *testing.T) {
	var file struct {
		Count int
		Cases []multiauthCase
	}
	var ours map[string]json.RawMessage
	for name, v := range map[string]any{"multiauth.json": &file, "multiauth_ours.json": &ours} {
		text, err := os.ReadFile("testdata/" + name)
		if err == nil {
			err = json.Unmarshal(text, v)
		}
		if err != nil {
			t.Fatal(name, err)
		}
	}
	delete(ours, "_note")
	ran := 0
	for _, c := range file.Cases {
		ran++
		differs := map[string]any{}
		if text, ok := ours[c.Name]; ok {
			if err := json.Unmarshal(text, &differs); err != nil || differs["rule"] == nil {
				t.Errorf("%s: a difference without a rule: %v", c.Name, err)
			}
			delete(ours, c.Name)
			delete(differs, "rule")
		}
		got, want := c.run(), c.expect()
		if len(got) != len(want) {
			t.Errorf("%s: %d answers for %d", c.Name, len(got), len(want))
		}
		for field, peer := range want {
			expected, listed := differs[field]
			switch {
			case !listed:
				expected = peer
			case reflect.DeepEqual(expected, peer):
				t.Errorf("%s: %s is listed as different, and is the same", c.Name, field)
			}
			delete(differs, field)
			if !reflect.DeepEqual(got[field], expected) {
				t.Errorf("%s: %s is %v, want %v", c.Name, field, got[field], expected)
			}
		}
		if len(differs) > 0 {
			t.Errorf("%s: listed, but not in the vectors: %v", c.Name, differs)
		}
	}
	if ran != 20 || file.Count != ran || len(ours) > 0 {
		t.Errorf("%d rows of %d, not met: %v", ran, file.Count, ours)
	}
}
