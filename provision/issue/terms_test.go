package issue_test

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/mac"
	"github.com/countersign-go/countersign/provision/issue"
)

type termsFunc = func(context.Context, *auth.Identity) (issue.Terms, error)

// A maker has the methods that an Issuer and a Registry have in common.
type maker interface {
	Issue(ctx context.Context, id *auth.Identity) (*mac.Credentials, error)
	Key(ctx context.Context, id string) (*mac.Key, error)
}

func makers(terms termsFunc) map[string]maker {
	i := testIssuer()
	i.Terms = terms
	return map[string]maker{"issuer": i, "registry": &issue.Registry{Terms: terms}}
}

func fixed(t issue.Terms) termsFunc {
	return func(context.Context, *auth.Identity) (issue.Terms, error) { return t, nil }
}

func TestTerms(t *testing.T) {
	want := map[string]any{
		"node": "n1", "level": json.Number("7"), "big": json.Number("9007199254740993"),
		"groups": []any{"a<b", "\"\\\u2028"}, "deep": map[string]any{"x": nil}, "": true,
	}
	terms := func(_ context.Context, id *auth.Identity) (issue.Terms, error) {
		return issue.Terms{Lifetime: time.Hour, Claims: map[string]any{
			"node": id.Claims["node"], "level": 7, "big": int64(9007199254740993),
			"groups": []string{"a<b", "\"\\\u2028"}, "deep": map[string]any{"x": nil}, "": true,
		}}, nil
	}
	for name, m := range makers(terms) {
		synctest.Test(t, func(t *testing.T) {
			u := &auth.Identity{Subject: "u", Claims: map[string]any{"node": "n1"}}
			c, err := m.Issue(t.Context(), u)
			if err != nil {
				t.Fatal(name, err)
			}
			key, err := m.Key(t.Context(), c.ID)
			if err != nil {
				t.Fatal(name, err)
			}
			id := key.Identity
			if id.Subject != "u" || !reflect.DeepEqual(id.Claims, want) {
				t.Errorf("%s: %+v", name, id)
			}
			end := time.Now().Add(time.Hour)
			if !id.Expires.Equal(end) || !c.Expires.Equal(end) {
				t.Errorf("%s: ends at %v and %v, want %v", name, c.Expires, id.Expires, end)
			}
		})
	}
}

// Empty Terms change nothing.
func TestNoTerms(t *testing.T) {
	for name, m := range makers(fixed(issue.Terms{Claims: map[string]any{}})) {
		synctest.Test(t, func(t *testing.T) {
			c, err := m.Issue(t.Context(), &auth.Identity{Subject: "u", Groups: []string{"g"}})
			if err != nil {
				t.Fatal(name, err)
			}
			lifetime := 5 * time.Minute
			if name == "registry" {
				lifetime = 24 * time.Hour
			}
			if time.Until(c.Expires) != lifetime {
				t.Errorf("%s: ends in %v", name, time.Until(c.Expires))
			}
			key, err := m.Key(t.Context(), c.ID)
			if err != nil || key.Identity.Claims != nil || key.Identity.Groups != nil {
				t.Errorf("%s: %+v, %v", name, key, err)
			}
		})
	}
}

func TestTermsRefused(t *testing.T) {
	loop := map[string]any{}
	loop["loop"] = loop
	var deep any = "canary-d33p"
	for range 20 {
		deep = map[string]any{"a": deep}
	}
	for _, tt := range []struct {
		reason string
		terms  issue.Terms
		want   string
	}{
		{"the end of the id", claim("expires", 1e10), `"expires", which is reserved`},
		{"the salt of the key", claim("salt", "x"), `"salt", which is reserved`},
		{"the subject", claim("userid", "root"), `"userid", which is reserved`},
		{"another subject, which is read first", claim("username", "root"), "is reserved"},
		{"another subject", claim("uid", 0), "is reserved"},
		{"another subject", claim("email", "root@example.com"), "is reserved"},
		{"spelled otherwise", claim("USERID", "root"), `"userid", which is reserved`},
		{"too much", claim("x", strings.Repeat("x", 2048)), "more than 2048 bytes"},
		{"too deep", claim("x", deep), "nested deeper"},
		{"endless", claim("x", loop), "cannot be written as JSON"},
		{"no JSON", claim("x", make(chan int)), "cannot be written as JSON"},
		{"no number", claim("x", math.NaN()), "cannot be written as JSON"},
		{"no text", claim("x", "\xff"), "are not UTF-8"},
		{"a name that is no text", claim("\xff", "x"), "are not UTF-8"},
		{"what looks like no text", claim("x", `\ufffd`), "are not UTF-8"},
		{"a name that occurs twice", claim("x", json.RawMessage(`{"a":1,"a":2}`)), "occurs twice"},
		{"negative", issue.Terms{Lifetime: -1}, "is negative"},
	} {
		for name, m := range makers(fixed(tt.terms)) {
			c, err := m.Issue(t.Context(), &auth.Identity{Subject: "u"})
			if c != nil || !strings.HasPrefix(text(err), "issue: ") ||
				!strings.Contains(text(err), tt.want) || strings.Contains(text(err), "canary") {
				t.Errorf("%s, %s: %v, %v; want %q", name, tt.reason, c, err, tt.want)
			}
		}
	}
}

func claim(name string, value any) issue.Terms {
	return issue.Terms{Claims: map[string]any{name: value}}
}

// Terms may refuse, or be unavailable.
func TestTermsFail(t *testing.T) {
	for _, cause := range []error{errors.New("not for you"), auth.ErrUnavailable} {
		fails := func(context.Context, *auth.Identity) (issue.Terms, error) {
			return issue.Terms{}, cause
		}
		for name, m := range makers(fails) {
			c, err := m.Issue(t.Context(), &auth.Identity{Subject: "u"})
			if c != nil || !errors.Is(err, cause) {
				t.Errorf("%s: %v, %v", name, c, err)
			}
		}
	}
}

// U+FFFD itself is a valid character of a claim.
func TestTermsReplacement(t *testing.T) {
	for name, m := range makers(fixed(claim("x", "\ufffd"))) {
		c, err := m.Issue(t.Context(), &auth.Identity{Subject: "u"})
		if err != nil {
			t.Fatal(name, err)
		}
		key, err := m.Key(t.Context(), c.ID)
		if err != nil || key.Identity.Claims["x"] != "\ufffd" {
			t.Errorf("%s: %v, %v", name, key, err)
		}
	}
}
