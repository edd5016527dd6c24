package main

import (
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/alexedwards/scs/v2/memstore"

	"github.com/countersign-go/countersign"
	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/mac"
	"github.com/countersign-go/countersign/portal"
	"github.com/countersign-go/countersign/provision"
	"github.com/countersign-go/countersign/provision/issue"
	"github.com/countersign-go/countersign/raven"
)

const wlsAt = "http://127.0.0.1:2"

// A visitor is a person with a browser: it asks for pages, keeps cookies and follows redirects.
type visitor struct {
	t        *testing.T
	client   *http.Client
	user     string // the user that the browser sends for Basic; if empty, it sends none
	password string
}

// visit returns a visitor of s. If there is a sessions manager, people log in by a login service at
// wlsAt, otherwise by Basic.
func visit(t *testing.T, s *service, sessions *scs.SessionManager) (*visitor, *network) {
	t.Helper()
	s.users = portal.Memory{"demo": creds.Secret(demoPassword), "ann": creds.Secret(annPassword)}
	s.listening = at
	n := new(network)
	if sessions != nil {
		service, err := newWLS(s.users)
		if err != nil {
			t.Fatal(err)
		}
		s.login = &raven.Login{
			Service: &raven.Service{
				LoginURL: wlsAt + "/auth/authenticate.html", LogoutURL: wlsAt + "/auth/logout.html",
				Keys: raven.Keys{wlsKeyID: &service.Key.PublicKey},
			},
			AnyPTags: true,
			Sessions: sessions,
		}
		if err := s.checkLogin(); err != nil {
			t.Fatal(err)
		}
		_, _, _ = n.host(s.handler())
		_, _, _ = n.host(service)
	} else {
		_, _, _ = n.host(s.handler())
	}
	time.Sleep(time.Second) // synctest time: the first second of a service
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &visitor{t: t, client: &http.Client{Transport: n, Jar: jar}}, n
}

// open requests a page, or sends form if it is not nil. fields are names and values of header
// fields in turn.
func (v *visitor) open(target string, form url.Values, fields ...string) (*http.Response, string) {
	v.t.Helper()
	method := http.MethodGet
	if form != nil {
		method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(
		v.t.Context(), method, target, strings.NewReader(form.Encode()))
	if err != nil {
		v.t.Fatal(err)
	}
	req.Header.Set("Accept", "text/html,*/*;q=0.8")
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if v.user != "" {
		req.SetBasicAuth(v.user, v.password)
	}
	for i := 0; i < len(fields); i += 2 {
		req.Header.Set(fields[i], fields[i+1])
	}
	resp, err := v.client.Do(req)
	if err != nil {
		v.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	h := resp.Header
	policy := strings.HasPrefix(h.Get("Content-Security-Policy"),
		"default-src 'none'; style-src 'self'; form-action 'self'")
	if resp.Request.URL.Host == "127.0.0.1:1" && (!policy ||
		h.Get("Cache-Control") != "no-store" || h.Get("X-Content-Type-Options") != "nosniff" ||
		!strings.HasPrefix(string(text), "<!DOCTYPE")) {
		v.t.Errorf("%s %s: %d with %v\n%.80s", method, target, resp.StatusCode, h, text)
	}
	return resp, string(text)
}

// has checks the status of a page, and that the page contains each of the texts.
func (v *visitor) has(resp *http.Response, text string, status int, wants ...string) {
	v.t.Helper()
	if resp.StatusCode != status {
		v.t.Errorf("%s: %d, want %d", resp.Request.URL, resp.StatusCode, status)
	}
	for _, want := range wants {
		if !strings.Contains(text, want) {
			v.t.Errorf("%s does not hold %q:\n%s", resp.Request.URL, want, text)
		}
	}
}

var (
	shownID  = regexp.MustCompile(`<code id="id">([^<]+)</code>`)
	shownKey = regexp.MustCompile(`<code id="key">([^<]+)</code>`)
)

// savedFile returns the file that a browser would save from the link with an id.
func savedFile(t *testing.T, page, id string) []byte {
	t.Helper()
	link := regexp.MustCompile(
		`id="` + id + `" href="data:[a-z/-]+;charset=utf-8,([^"]+)" download="`)
	found := link.FindStringSubmatch(page)
	if found == nil {
		t.Fatalf("there is no file to save as %s", id)
	}
	text, err := url.PathUnescape(html.UnescapeString(found[1]))
	if err != nil {
		t.Fatal(err)
	}
	return []byte(text)
}

// story makes a credential, has a program use it, revokes it, and checks that the program is
// refused.
func (v *visitor) story(n *network) {
	v.t.Helper()
	resp, text := v.open(at+"/", nil)
	v.has(resp, text, 200, "Hello demo!", `id="number">83<`, "You have no credentials.")
	resp, text = v.open(at+"/keys", url.Values{})
	v.has(resp, text, 200, "Your new credential", "This page shows the key once.",
		"curl --request POST --user &#39;demo&#39; &#39;"+at+"/provision&#39;",
		"countersign.NewClient")
	page := text
	id, key := shownID.FindStringSubmatch(text), shownKey.FindStringSubmatch(text)
	if id == nil || key == nil {
		v.t.Fatal("there is no key to be seen")
	}
	again, text := v.open(resp.Request.URL.String(), nil)
	v.has(again, text, http.StatusGone, "A key is shown once")
	if strings.Contains(text, key[1]) {
		v.t.Error("the key is shown again")
	}
	saved, err := provision.Unmarshal(savedFile(v.t, page, "file"))
	if err != nil || saved.ID != html.UnescapeString(id[1]) ||
		string(saved.Key) != html.UnescapeString(key[1]) || saved.Expires.IsZero() {
		v.t.Fatalf("the file to save is not the credential of the page: %v, %v", saved, err)
	}
	source := string(savedFile(v.t, page, "source"))
	if strings.Contains(source, string(saved.Key)) || strings.Contains(source, saved.ID) ||
		!strings.Contains(page, html.EscapeString("client.Get(")) {
		v.t.Error("the program has the credential in its source")
	}
	program := countersign.NewClient(countersign.Config{
		Signer: &mac.Signer{Source: saved}, Base: n,
	})
	ask := func() (int, string) {
		resp, err := program.Get(at + "/")
		if err != nil {
			v.t.Fatal(err)
		}
		defer resp.Body.Close()
		text, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(text)
	}
	if status, text := ask(); status != 200 || text != hello {
		v.t.Errorf("the program is told %d, %q", status, text)
	}
	resp, text = v.open(at+"/", nil)
	v.has(resp, text, 200, "/keys/"+url.PathEscape(id[1])+"/revoke")
	resp, text = v.open(at+"/keys/"+url.PathEscape(id[1])+"/revoke", url.Values{})
	v.has(resp, text, 200, "The credential is revoked")
	if status, _ := ask(); status != 401 {
		v.t.Errorf("the program is told %d after that", status)
	}
	resp, text = v.open(at+"/keys/"+url.PathEscape(id[1])+"/revoke", url.Values{})
	v.has(resp, text, 404, "You have no such credential")
}

func TestSiteByDialog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, n := visit(t, &service{registry: new(issue.Registry)}, nil)
		resp, text := v.open(at+"/", nil)
		v.has(resp, text, 401, "Log in to see yours.", `href="`+at+`/login"`)
		if strings.Contains(strings.Join(resp.Header["Www-Authenticate"], " "), "Basic") {
			t.Error("a dialog opens in front of the page that says what this is")
		}
		resp, text = v.open(at+"/login", nil)
		v.has(resp, text, 401, "You are not logged in")
		if !strings.Contains(strings.Join(resp.Header["Www-Authenticate"], " "), "Basic") {
			t.Error("there is no dialog to log in by")
		}
		v.user, v.password = "demo", demoPassword
		resp, text = v.open(at+"/login", nil)
		v.has(resp, text, 200, "Hello demo!", "close all windows")
		v.story(n)
	})
}

func TestSiteByService(t *testing.T) {
	sessions := scs.New() // outside the bubble, which its goroutine would outlive
	sessions.Store = memstore.NewWithCleanupInterval(0)
	sessions.Cookie.Secure = false
	synctest.Test(t, func(t *testing.T) {
		v, n := visit(t, &service{registry: new(issue.Registry)}, sessions)
		resp, text := v.open(at+"/login", nil)
		v.has(resp, text, 200, `name="password"`)
		login := url.Values{"user": {"demo"}, "password": {"wrong"}, "action": {"login"}}
		asked := resp.Request.URL.String()
		resp, text = v.open(asked, login)
		v.has(resp, text, 403, `name="password"`)
		login.Set("password", demoPassword)
		resp, text = v.open(asked, login)
		v.has(resp, text, 200, "Hello demo!", "Log out")
		v.story(n)
		resp, text = v.open(at+"/logout", url.Values{})
		v.has(resp, text, 200, "Log out here, too?", `href="`+at+`/">Back to 127.0.0.1:1<`)
		resp, text = v.open(resp.Request.URL.String(), url.Values{"action": {"logout"}})
		v.has(resp, text, 200, "You have logged out", `href="`+at+`/">Back to 127.0.0.1:1<`)
		resp, text = v.open(at+"/", nil)
		v.has(resp, text, 401, "Log in to see yours.")
	})
}

// Another site can make a browser send a form, with the password or the cookie that it remembers.
func TestSiteRefusesOtherSites_S16(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &service{registry: new(issue.Registry)}
		v, _ := visit(t, s, nil)
		v.user, v.password = "demo", demoPassword
		for _, fields := range [][]string{
			{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"},
			{"Origin", "https://evil.example"}, {"Origin", "null"},
		} {
			resp, text := v.open(at+"/keys", url.Values{}, fields...)
			v.has(resp, text, 403, "You may not do this")
		}
		if n := s.issued.Load(); n != 0 {
			t.Errorf("%d keys were made", n)
		}
	})
}

func TestSiteEscapes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &service{registry: new(issue.Registry)}
		v, _ := visit(t, s, nil)
		const name = `<script>alert("x")</script>`
		s.users.(portal.Memory)[name] = creds.Secret(demoPassword)
		v.user, v.password = name, demoPassword
		resp, text := v.open(at+"/", nil)
		v.has(resp, text, 200, "Hello &lt;script&gt;")
		_, made := v.open(at+"/keys", url.Values{})
		if strings.Contains(text+made, "<script") {
			t.Error("a name has become a part of the page")
		}
	})
}

// A key belongs to the user who made it, even before it is shown.
func TestSiteKeepsUsersApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, _ := visit(t, &service{registry: new(issue.Registry)}, nil)
		v.client.CheckRedirect = func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		}
		post, err := http.NewRequestWithContext(
			t.Context(), http.MethodPost, at+"/keys", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		post.SetBasicAuth("demo", demoPassword)
		resp, err := v.client.Do(post)
		if err != nil || resp.StatusCode != http.StatusSeeOther {
			t.Fatal(resp, err)
		}
		resp.Body.Close()
		mine := at + resp.Header.Get("Location")
		v.user, v.password = "ann", annPassword
		resp, text := v.open(mine, nil)
		v.has(resp, text, 404, "You have no such credential")
		resp, text = v.open(mine+"/revoke", url.Values{})
		v.has(resp, text, 404, "You have no such credential")
		v.user, v.password = "demo", demoPassword
		resp, text = v.open(mine, nil)
		v.has(resp, text, 200, "Your new credential")
	})
}

// A service without a registry makes keys, and explains why it cannot list them.
func TestSiteWithoutRegistry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, _ := visit(t, new(service), nil)
		v.user, v.password = "demo", demoPassword
		resp, text := v.open(at+"/", nil)
		v.has(resp, text, 200, "started without <code>--registry</code>")
		resp, text = v.open(at+"/keys", url.Values{})
		v.has(resp, text, 200, "Your new credential")
		resp, text = v.open(at+"/nothing", nil)
		v.has(resp, text, 404, "There is no such page")
	})
}
