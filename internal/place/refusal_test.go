package place_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/countersign-go/countersign/internal/place"
)

func TestNew(t *testing.T) {
	for _, tt := range []struct {
		scheme, header, cookie string
		want                   place.Place
		err                    string // part of it; "" for no error
	}{
		{"", "", "", place.Place{Scheme: "Bearer", Header: "Authorization"}, ""},
		{"JWT", "authorization", "", place.Place{Scheme: "JWT", Header: "Authorization"}, ""},
		{"JWT", "x-token", "", place.Place{Header: "X-Token"}, ""},
		{"", "", "s", place.Place{Cookie: "s"}, ""},
		{"", "x-token", "s", place.Place{}, "choose one"},
		{"JWT", "", "s", place.Place{}, "choose one"},
		{"", "", "a=", place.Place{}, "the name of the Cookie"},
		{"", "a b", "", place.Place{}, "the Header or the Scheme"},
		{"a:", "", "", place.Place{}, "the Header or the Scheme"},
		{"", "cookie", "", place.Place{}, "set Cookie to the name of one"},
		{"", "host", "", place.Place{}, "which net/http sets"},
	} {
		got, err := place.New(tt.scheme, tt.header, tt.cookie)
		if got != tt.want || (err == nil) != (tt.err == "") ||
			err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%q %q %q: %+v, %v", tt.scheme, tt.header, tt.cookie, got, err)
		}
	}
}

func TestRefusal(t *testing.T) {
	field := place.Place{Scheme: "Bearer", Header: "Authorization"}
	word := place.Place{Scheme: "JWT", Header: "Authorization"}
	bare, cookie := place.Place{Header: "X-Token"}, place.Place{Cookie: "s"}
	for _, tt := range []struct {
		name          string
		place         place.Place
		lines         []string
		invalid, ours bool
	}{
		{"no challenge", field, nil, false, true},
		{"no reason", field, []string{"Bearer"}, false, true},
		{"invalid", field, []string{`Basic realm="x"`, `Bearer error="invalid_token"`}, true, true},
		{"another reason", field, []string{`Bearer error="odd"`}, false, true},
		{"no other would do", field, []string{`Bearer error="insufficient_scope"`}, false, false},
		{"foreign", field, []string{`Basic realm="x"`}, false, false},
		{"another field", field, []string{`Bearer header="X-Token"`}, false, false},
		{"malformed", field, []string{`Bearer error="invalid_token" x="no comma"`}, false, true},
		{"malformed and foreign", field, []string{`Basic a="b" c="no comma"`}, false, false},
		{"its own scheme", word, []string{`JWT error="invalid_token"`}, true, true},
		{"Bearer for another scheme", word, []string{`Bearer error="invalid_token"`}, true, true},
		{"a bare field", bare, []string{`Bearer error="invalid_token", header="x-token"`},
			true, true},
		{"a cookie", cookie, []string{`Cookie cookie-name="s", error="invalid_token"`}, true, true},
		{"another cookie", cookie, []string{`Cookie cookie-name="t"`}, false, false},
		{"a malformed one for a cookie", cookie, []string{`Cookie a="b" c="d"`}, false, true},
		{"claims", field, []string{`Bearer error="insufficient_claims"`}, false, false},
	} {
		resp := &http.Response{Header: http.Header{"Www-Authenticate": tt.lines}}
		if invalid, ours := tt.place.Refusal(resp); invalid != tt.invalid || ours != tt.ours {
			t.Errorf("%s: %t, %t; want %t, %t", tt.name, invalid, ours, tt.invalid, tt.ours)
		}
	}
}

// The first known error decides whether a refusal asks for more.
func TestAsksForMore(t *testing.T) {
	field := place.Place{Scheme: "Bearer", Header: "Authorization"}
	for line, want := range map[string]bool{
		``:                                                false,
		`Bearer`:                                          false,
		`Bearer error="insufficient_scope"`:               true,
		`Bearer error="insufficient_claims"`:              true,
		`Basic error="insufficient_scope"`:                false,
		`Bearer error="invalid_request"`:                  false,
		`Bearer error="Insufficient_Scope"`:               false,
		`Bearer error="insufficient_scope`:                false,
		`Bearer header=a, error=insufficient_scope`:       false,
		`Bearer error="insufficient_user_authentication"`: true,
		`Bearer error="invalid_token", Bearer error="insufficient_scope"`: false,
		`Bearer error="odd", Bearer error="insufficient_scope"`:           true,
	} {
		resp := &http.Response{Header: http.Header{"Www-Authenticate": {line}}}
		if got := field.AsksForMore(resp); got != want {
			t.Errorf("%s: %t, want %t", line, got, want)
		}
	}
}

func TestChallenge(t *testing.T) {
	for _, tt := range []struct {
		place              place.Place
		realm, code, scope string
		want               string
	}{
		{place.Place{Scheme: "JWT", Header: "Authorization"}, "", "", "", "JWT"},
		{place.Place{Scheme: "Bearer", Header: "Authorization"}, "a", "invalid_token", "",
			`Bearer realm="a", error="invalid_token"`},
		{place.Place{Header: "X-Token"}, "", "insufficient_scope", "b",
			`Bearer header="X-Token", error="insufficient_scope", scope="b"`},
		{place.Place{Cookie: "s"}, "", "", "", `Cookie cookie-name="s"`},
	} {
		if got := tt.place.Challenge(tt.realm, tt.code, tt.scope); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}

func TestTakeCookie(t *testing.T) {
	header := http.Header{"Set-Cookie": {"s=1", "a=b; Path=/", "s=2; Max-Age=60", "=broken"}}
	resp := &http.Response{Header: header}
	if c := place.TakeCookie(resp, "s"); c == nil || c.Value != "2" || c.MaxAge != 60 {
		t.Errorf("found %v", c)
	}
	if rest := resp.Header["Set-Cookie"]; !slices.Equal(rest, []string{"a=b; Path=/", "=broken"}) {
		t.Errorf("left %q", rest)
	}
	if len(header["Set-Cookie"]) != 4 {
		t.Error("a map was changed that other answers may share")
	}
	if c := place.TakeCookie(resp, "s"); c != nil {
		t.Errorf("found %v again", c)
	}
	resp.Header = http.Header{"Set-Cookie": {"s=1"}}
	if place.TakeCookie(resp, "s"); len(resp.Header) != 0 {
		t.Errorf("left %v", resp.Header)
	}
}

func TestRaw(t *testing.T) {
	field := place.Place{Scheme: "Bearer", Header: "Authorization"}
	for _, tt := range []struct {
		place place.Place
		name  string
		line  string
		want  string
	}{
		{field, "Authorization", "Bearer  a b", "a b"},
		{field, "Authorization", "Bea", ""},
		{place.Place{Header: "X-Token"}, "X-Token", "a b", "a b"},
		{place.Place{Cookie: "s"}, "Cookie", "a=b; s=x y", "x y"},
		{place.Place{Cookie: "s"}, "Cookie", "a=b", ""},
	} {
		if got := tt.place.Raw(http.Header{tt.name: {tt.line}}); got != tt.want {
			t.Errorf("%q: %q, want %q", tt.line, got, tt.want)
		}
	}
}

// An unsendable Encoding writes bytes that a cookie cannot hold.
type unsendable struct{ place.Pyramid }

func (unsendable) Encode(string) string { return "a b" }

func TestUnsendableEncoding(t *testing.T) {
	p := place.Place{Cookie: "s", Encoding: unsendable{}}
	if err := p.Put(make(http.Header), "token"); err == nil {
		t.Error("it is sent")
	}
}
