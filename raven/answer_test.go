package raven_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/countersign-go/countersign/raven"
)

// TestTarget checks that targets come back from the service unchanged, and that some are refused.
func TestTarget(t *testing.T) {
	for target, want := range map[string]string{ // the target sent to the service; if "", 400
		"/":                                "/",
		"/a%20b?c=d%2Be+f":                 "/a%20b?c=d%2Be+f",
		"/a%2Fb%2fc":                       "/a%2Fb%2fc",
		"/a//b/../c/.":                     "/a//b/../c/.",
		"/a?":                              "/a",
		"/a??":                             "/a??",
		"/a?b=c?":                          "/a?b=c?",
		"/a?&&b":                           "/a?&&b",
		"/a?;b=%zz&=":                      "/a?;b=%zz&=",
		"/\xc3\xa9?\xff":                   "/%C3%A9?%FF",
		"/a;b,c!d'e":                       "/a;b,c!d'e",
		"/a?url=https://x.test/#":          "",
		"/" + strings.Repeat("long", 2000): "",
	} {
		b := newBrowser(t, newLogin(t))
		b.get(site + target)
		if want == "" {
			b.is(400, "")
			continue
		}
		asked := b.asked()
		if got := asked.Get("url"); got != site+want {
			t.Errorf("%q: the service is given %q", target, got)
		}
		b.get(answer{}.write(t, asked))
		b.is(303, site)
		if got := b.header.Get("Location"); got != site+want {
			t.Errorf("%q: back to %q", target, got)
		}
	}
}

// TestAnswerPlace checks at which places of a URL an answer is accepted.
func TestAnswerPlace(t *testing.T) {
	for query, code := range map[string]int{ // %s is an answer
		"?WLS-Response=%s":                303,
		"?&WLS-Response=%s":               303, // as from a service that saw a question mark
		"??WLS-Response=%s":               200, // not an answer, but a parameter of the page
		"?WLS%%2DResponse=%s":             400, // not in the spelling of the service
		"?wls-response=%s":                200,
		"?WLS-Response=%s&":               400,
		"?WLS-Response=%s#":               400,
		"?WLS-Response=x&WLS-Response=%s": 400,
		"?WLS-Response&WLS-Response=%s":   400,
		"?WLS-Response":                   400,
		"?WLS-Response=":                  400,
		"?a;WLS-Response=%s":              200,
	} {
		b := newBrowser(t, newLogin(t))
		b.logIn(secret, answer{})
		b.begin("t")
		_, text, _ := strings.Cut(answer{url: secret, params: "t"}.write(t, nil), "=")
		b.get(secret + strings.Replace(strings.ReplaceAll(query, "%%", "%"), "%s", text, 1))
		if b.code != code || b.viewed > 0 != (code == 200) {
			t.Errorf("%s: %d (%s), want %d", query, b.code, b.body, code)
		}
	}
}

// TestTwoAnswers sends an answer of version 1 behind a query that is another answer.
func TestTwoAnswers(t *testing.T) {
	b := newBrowser(t, newLogin(t))
	b.begin("t")
	back := answer{version: 1, status: 410, url: secret, params: "t"}.write(t, nil)
	b.get(strings.Replace(back, "?", "?WLS-Response=x&", 1))
	b.is(400, "")
}

// TestQueryDropped sends answers to their URL with a query and without. The service drops the query
// in version 1 only. So a service did not send an answer of version 1 to an address with a query,
// and that query is not the one that the Login would restore.
func TestQueryDropped(t *testing.T) {
	for _, tt := range []struct {
		version   int
		url, here string
		to        string // if "", the answer is refused
	}{
		{1, secret, secret, secret},
		{1, secret + "?a=1", secret, secret + "?a=1"},
		{1, secret + "?a=1", secret + "?a=1", ""},
		{1, secret + "?a=1", secret + "?b=2", ""},
		{1, secret, secret + "?a=1", ""},
		{1, secret + "?", secret, secret},
		{2, secret + "?a=1", secret + "?a=1", secret + "?a=1"},
		{2, secret + "?a=1", secret, ""},
		{2, secret, secret + "?a=1", ""},
		{3, secret + "?a=1", secret + "?a=1", secret + "?a=1"},
		{3, secret + "?a=1", secret, ""},
		{3, secret, secret + "?a=1", ""},
	} {
		for _, status := range []raven.Status{raven.StatusSuccess, raven.StatusCancelled} {
			b := newBrowser(t, newLogin(t))
			b.begin("t")
			given := answer{version: tt.version, status: status, url: tt.url, params: "t"}
			back := given.write(t, nil)
			_, text, _ := strings.Cut(back, "WLS-Response=")
			separator := "?"
			if strings.Contains(tt.here, "?") {
				separator = "&"
			}
			b.get(tt.here + separator + "WLS-Response=" + text)
			got := b.header.Get("Location")
			want := map[bool]int{true: 400, false: 303}[tt.to == ""]
			if b.code != want || got != tt.to {
				t.Errorf("version %d, %d, for %s at %s: %d to %q, want %d to %q", tt.version,
					status, tt.url, tt.here, b.code, got, want, tt.to)
			}
		}
	}
}

// FuzzLogin tries request targets with and without answers. No request reaches the page or gets a
// 5xx, and each redirect leads to the service or stays within this site.
func FuzzLogin(f *testing.F) {
	good := answer{url: secret, params: "t", id: "1"}.write(f, nil)
	for _, target := range []string{
		"/", "/secret", "//evil.example", "/\\evil", "/a?b=c", "/?WLS-Response=", "/a#b", "*",
		strings.TrimPrefix(good, site), strings.TrimPrefix(good, site) + "&a=b",
		"/secret?WLS-Response=1!410!!20240115T093000Z!1!" + url.QueryEscape(secret) + "?!!!!!t!!",
	} {
		f.Add(target, false)
		f.Add(target, true)
	}
	l := newLogin(f)
	b := newBrowser(f, l)
	f.Fuzz(func(t *testing.T, target string, session bool) {
		b.t, b.cookie, b.pending, b.viewed = t, nil, nil, 0
		if session {
			b.begin("t")
		}
		u, err := url.ParseRequestURI(target)
		if err != nil {
			return
		}
		req := b.request("GET", site+"/")
		req.URL, req.RequestURI = u, target
		b.serve(req)
		to := b.header.Get("Location")
		here := strings.HasPrefix(to, site+"/") && !strings.ContainsAny(to, "\r\n\x00")
		switch {
		case b.viewed > 0 || b.stored().Login != nil && !session:
			t.Errorf("%q is let in", target)
		case b.code == 303 && strings.HasPrefix(to, serviceURL+"?"):
			if where := b.asked().Get("url"); !strings.HasPrefix(where, site+"/") {
				t.Errorf("%q: the service is given %q", target, where)
			}
		case b.code == 303 && here, b.code == 400, b.code == 403:
		default:
			t.Errorf("%q: %d to %q", target, b.code, to)
		}
	})
}
