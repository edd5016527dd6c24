package interop

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countersign-go/countersign/portal"
	"github.com/countersign-go/countersign/raven"
	"github.com/countersign-go/countersign/raven/wls"
)

// A site is testdata/agent.py: python-ucam-webauth, which sends browsers to our login service.
type site struct {
	url  string
	live string // the key of the operator's live service, from that package
}

func startSite(t *testing.T, server *wls.Server) *site {
	t.Helper()
	login := httptest.NewServer(server)
	t.Cleanup(login.Close)
	service, err := server.Service(login.URL)
	if err != nil {
		t.Fatal(err)
	}
	for kid, key := range service.Keys {
		p := startPeer(t, "agent.py", service.LoginURL, service.LogoutURL, kid)
		p.write(t, string(pem.EncodeToMemory(&pem.Block{
			Type: "RSA PUBLIC KEY", Bytes: x509.MarshalPKCS1PublicKey(key),
		})))
		var said struct{ URL, Live string }
		p.read(t, &said)
		return &site{said.URL, said.Live}
	}
	t.Fatal("our service has no key")
	return nil
}

// A visitor is a browser: it follows redirects and keeps cookies.
type visitor struct {
	t      *testing.T
	site   *site
	client *http.Client
}

// get returns the page at which the browser ends up.
func (v *visitor) get(url string) (*http.Response, string) {
	v.t.Helper()
	return v.read(v.client.Get(url))
}

func (v *visitor) press(page *http.Response, fields ...string) (*http.Response, string) {
	v.t.Helper()
	form := url.Values{}
	for i := 0; i < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	return v.read(v.client.PostForm(page.Request.URL.String(), form))
}

func (v *visitor) read(resp *http.Response, err error) (*http.Response, string) {
	v.t.Helper()
	if err != nil {
		v.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	return resp, string(text)
}

// wantUser fails the test unless the browser is at that page of the site, and the site knows the
// user.
func (v *visitor) wantUser(resp *http.Response, text, at string) {
	v.t.Helper()
	var page struct {
		Principal string
		PTags     []string
		Life      *int
	}
	if err := json.Unmarshal([]byte(text), &page); err != nil || page.Principal != user ||
		!slices.Equal(page.PTags, []string{"current"}) ||
		resp.Request.URL.String() != v.site.url+at {
		v.t.Errorf("at %s: %s\n%s", resp.Request.URL, resp.Status, text)
	}
}

func newLogin() *wls.Server {
	return &wls.Server{Checker: portal.Memory{user: []byte(password)}}
}

// open visits a page of the site with a new browser.
func (s *site) open(t *testing.T, at string) (*visitor, *http.Response, string) {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	v := &visitor{t, s, &http.Client{Jar: jar, Timeout: 30 * time.Second}}
	page, text := v.get(s.url + at)
	return v, page, text
}

func TestRavenLogIn(t *testing.T) {
	const at = "/any?a=1&b=two%20words"
	v, page, text := startSite(t, newLogin()).open(t, at)
	if !strings.Contains(text, "R&amp;D café") {
		t.Errorf("the page does not name the site: %s", text)
	}
	page, text = v.press(page, "action", "login", "user", user, "password", "wrong")
	if page.StatusCode != http.StatusForbidden {
		t.Errorf("wrong password: %s\n%s", page.Status, text)
	}
	resp, text := v.press(page, "action", "login", "user", user, "password", password)
	v.wantUser(resp, text, at)
}

func TestRavenCancel(t *testing.T) {
	const at = "/any?a=1"
	v, page, _ := startSite(t, newLogin()).open(t, at)
	resp, text := v.press(page, "action", "cancel")
	if resp.StatusCode != http.StatusUnauthorized || resp.Request.URL.String() != v.site.url+at {
		t.Errorf("at %s: %s\n%s", resp.Request.URL, resp.Status, text)
	}
}

// TestRavenInteraction visits pages that ask for a password each time, or never. Between the visits
// the login at the site ends. The site's secret and the login at our service stay valid.
func TestRavenInteraction(t *testing.T) {
	s := startSite(t, newLogin())
	logIn := []string{"action", "login", "user", user, "password", password}
	v, page, text := s.open(t, "/mustnot")
	if page.StatusCode != http.StatusUnauthorized {
		t.Errorf("a stranger: %s\n%s", page.Status, text)
	}
	page, _ = v.get(s.url + "/must")
	resp, text := v.press(page, logIn...)
	v.wantUser(resp, text, "/must")

	v.get(s.url + "/expire")
	resp, text = v.get(s.url + "/mustnot")
	v.wantUser(resp, text, "/mustnot")

	v.get(s.url + "/expire")
	page, text = v.get(s.url + "/must")
	if !strings.Contains(text, `name="password"`) {
		t.Errorf("single sign-on where a password is wanted: %s\n%s", page.Status, text)
	}
	resp, text = v.press(page, logIn...)
	v.wantUser(resp, text, "/must")
}

func TestRavenLogOut(t *testing.T) {
	v, page, _ := startSite(t, newLogin()).open(t, "/any")
	resp, text := v.press(page, "action", "login", "user", user, "password", password)
	v.wantUser(resp, text, "/any")
	page, _ = v.get(v.site.url + "/logout")
	if resp, text := v.press(page, "action", "logout"); !strings.Contains(text, "logged out") {
		t.Errorf("logging out: %s\n%s", resp.Status, text)
	}
	if page, text := v.get(v.site.url + "/any"); !strings.Contains(text, `name="password"`) {
		t.Errorf("after logging out: %s\n%s", page.Status, text)
	}
}

// TestRavenVersions makes our service answer in each version, and with each status.
func TestRavenVersions(t *testing.T) {
	var answer atomic.Pointer[raven.Response]
	server := newLogin()
	server.Decide = func(*http.Request, *wls.Request) *raven.Response { return answer.Load() }
	s := startSite(t, server)
	for version := 1; version <= 3; version++ {
		for _, status := range []raven.Status{200, 410, 510, 520, 530, 540, 560, 570} {
			r := &raven.Response{Version: version, Status: status, Msg: "50% off!"}
			if status == raven.StatusSuccess {
				r.Principal, r.PTags, r.Auth = user, []string{"current"}, raven.AuthPassword
			}
			answer.Store(r)
			const at = "/any?a=1"
			v, page, text := s.open(t, at)
			if status == raven.StatusSuccess {
				v.wantUser(page, text, at)
			} else if page.StatusCode != http.StatusUnauthorized {
				t.Errorf("version %d, %v: %s\n%s", version, status, page.Status, text)
			}
		}
	}
}

// TestRavenLiveKey parses the key of the operator's live service, which our package does not
// include.
func TestRavenLiveKey(t *testing.T) {
	service, err := raven.Live([]byte(startSite(t, newLogin()).live))
	if err != nil || service.Keys["2"] == nil {
		t.Errorf("%v", err)
	}
}
