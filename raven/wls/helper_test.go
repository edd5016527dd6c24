package wls_test

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/countersign-go/countersign/portal"
	"github.com/countersign-go/countersign/raven"
	"github.com/countersign-go/countersign/raven/wls"
)

const (
	loginURL = "http://login.example.test/auth/authenticate.html?"
	agentURL = "https://app.example.org/secret"
)

// key is made once, because making a key is slow.
var key = func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(nil, 2048)
	if err != nil {
		panic(err)
	}
	return key
}()

type vectors struct {
	Keys map[string]struct {
		Private string `json:"private_pkcs8_pem"`
	}
	Requests []struct {
		Name, Query, Want, Error string
		Fields                   struct {
			Ver                    int
			URL, Desc, Msg, Params string
			AAuth                  []string
			Iact                   *bool
			Fail                   bool
		}
	} `json:"login_service_request_cases"`
	Responses []struct {
		Name  string
		Input struct {
			URL             string
			Ver, Code       int
			Issue           int64
			ID, KID         string
			Principal, Auth string
			Msg             string
			PTags, SSO      []string
			Life            *int
		}
		Response  string
		ReturnURL string `json:"return_url"`
	} `json:"login_service_response_cases"`
}

func loadVectors(t *testing.T) *vectors {
	t.Helper()
	text, err := os.ReadFile("../testdata/webauth.json")
	if err != nil {
		t.Fatal(err)
	}
	var v vectors
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	return &v
}

func (v *vectors) private(t *testing.T, kid string) *rsa.PrivateKey {
	t.Helper()
	block, _ := pem.Decode([]byte(v.Keys[kid].Private))
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return parsed.(*rsa.PrivateKey)
}

// A browser keeps cookies. It does not follow redirects, because no agent is running behind them.
type browser struct {
	t      *testing.T
	server *wls.Server
	jar    http.CookieJar
}

func newServer() *wls.Server {
	return &wls.Server{Key: key, Checker: portal.Memory{"abc12": []byte("right")}}
}

func newBrowser(t *testing.T, server *wls.Server) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &browser{t, server, jar}
}

func (b *browser) send(req *http.Request) *http.Response {
	for _, c := range b.jar.Cookies(req.URL) {
		req.AddCookie(c)
	}
	w := httptest.NewRecorder()
	b.server.ServeHTTP(w, req)
	resp := w.Result()
	b.jar.SetCookies(req.URL, resp.Cookies())
	return resp
}

func (b *browser) get(url string) *http.Response {
	return b.send(httptest.NewRequest(http.MethodGet, url, nil))
}

// press sends the form of the page at a URL. The fields are names and values.
func (b *browser) press(at string, fields ...string) *http.Response {
	form := url.Values{}
	for i := 0; i < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	req := httptest.NewRequest(http.MethodPost, at, strings.NewReader(form.Encode()))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	return b.send(req)
}

func (b *browser) logIn(at string) *http.Response {
	return b.press(at, "action", "login", "user", "abc12", "password", "right")
}

// answered parses the answer in a redirect, as an agent does.
func (b *browser) answered(resp *http.Response) *raven.Response {
	b.t.Helper()
	if resp.StatusCode != http.StatusSeeOther {
		b.t.Fatalf("status %s, want 303:\n%s", resp.Status, body(b.t, resp))
	}
	to, err := resp.Location()
	if err != nil {
		b.t.Fatal(err)
	}
	service, err := b.server.Service("http://login.example.test")
	if err != nil {
		b.t.Fatal(err)
	}
	answer, err := service.Parse(to.Query().Get("WLS-Response"))
	if err != nil {
		b.t.Fatalf("%s: %v", to, err)
	}
	return answer
}

func query(t *testing.T, r raven.Request) string {
	t.Helper()
	if r.URL == "" {
		r.URL = agentURL
	}
	text, err := r.Query()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func body(t *testing.T, resp *http.Response) string {
	t.Helper()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
