package interop

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/basic"
	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/mac"
	"github.com/countersign-go/countersign/portal"
	"github.com/countersign-go/countersign/provision/issue"
)

// A pair is the real client and a server, by default ours, with one algorithm.
type pair struct {
	client    *peer
	url       string // where the server listens for plain http
	algorithm string
}

// A job is one request for testdata/client.py.
type job struct {
	Method   string `json:"method"`
	URL      string `json:"url"`
	Host     string `json:"host,omitempty"`
	Body     string `json:"body,omitempty"`
	Stream   bool   `json:"stream,omitempty"`
	Ext      string `json:"ext,omitempty"`
	TS       string `json:"ts,omitempty"`
	ID       string `json:"id,omitempty"`
	Key      string `json:"key,omitempty"`
	Hash     string `json:"hash,omitempty"`
	User     string `json:"user,omitempty"`
	Password string `json:"password,omitempty"`
}

// A result is the report of testdata/client.py about one request.
type result struct {
	Status        int
	Headers       map[string]string // names in lower case
	Body          string
	Authorization string
	Error         string
}

func startPair(t *testing.T, algorithm string) *pair {
	t.Helper()
	handler := ourService(algorithm)
	plain := httptest.NewServer(handler)
	t.Cleanup(plain.Close)
	secure := httptest.NewTLSServer(handler)
	t.Cleanup(secure.Close)
	return newPair(t, algorithm, plain.URL, portOf(t, secure.URL))
}

func newPair(t *testing.T, algorithm string, plain, securePort string) *pair {
	t.Helper()
	client := startPeer(t, "client.py", portOf(t, plain), securePort)
	return &pair{client: client, url: plain, algorithm: algorithm}
}

// ourService verifies requests, and issues credentials at /provision.
func ourService(algorithm string) http.Handler {
	issuer := &issue.Issuer{
		Secrets:   []creds.Secret{creds.Secret(secret)},
		Algorithm: algorithm,
		Lifetime:  5 * time.Minute,
	}
	users := portal.Memory{user: creds.Secret(password)}
	door := &issue.Handler{
		Auth:  &basic.Verifier{Realm: "provision", Users: users},
		Issue: issuer.Issue,
	}
	echo := auth.Require(http.HandlerFunc(repeat),
		&mac.Verifier{Keys: issuer.Key, Dialect: mac.WebOb})
	// A ServeMux would clean the paths before they are verified.
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/provision" {
			door.ServeHTTP(w, req)
			return
		}
		echo.ServeHTTP(w, req)
	})
}

// repeat answers with the user, the method and the target of the request, as testdata/server.py
// does. It reads all of the body before it answers, since a server of net/http may close the body
// at the first byte of an answer.
func repeat(w http.ResponseWriter, req *http.Request) {
	if id, ok := auth.FromContext(req.Context()); ok {
		w.Header().Set("X-User", id.Subject)
	}
	w.Header().Set("X-Seen", req.Method+" "+req.RequestURI)
	body, err := io.ReadAll(req.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Write(body)
}

func (p *pair) do(t *testing.T, j job) result {
	t.Helper()
	p.client.write(t, j)
	var r result
	p.client.read(t, &r)
	if r.Error != "" {
		t.Fatalf("the client cannot send %s %q: %s", j.Method, j.URL, r.Error)
	}
	return r
}

// credentials provisions as a Python program would: it sends a POST, and uses id and key unchanged.
func (p *pair) credentials(t *testing.T) (id, key string) {
	t.Helper()
	r := p.do(t, job{Method: "POST", URL: p.url + "/provision", User: user, Password: password})
	if r.Status != http.StatusOK {
		t.Fatalf("provisioning: status %d, body %q", r.Status, r.Body)
	}
	var c struct{ ID, Key string }
	if err := json.Unmarshal([]byte(r.Body), &c); err != nil {
		t.Fatal(err)
	}
	if c.ID == "" || c.Key == "" {
		t.Fatal("provisioning: no id or no key")
	}
	return c.ID, c.Key
}

func (p *pair) hash() string {
	if p.algorithm == mac.SHA1 {
		return "sha1"
	}
	return "sha256"
}

func (r result) want(t *testing.T, status int) {
	t.Helper()
	if r.Status != status {
		t.Errorf("status %d, want %d; challenge %q, sent %q", r.Status, status,
			r.Headers["www-authenticate"], r.Authorization)
	}
}

func TestRealClientAgainstOurServer(t *testing.T) {
	for _, algorithm := range algorithms {
		p := startPair(t, algorithm)
		id, key := p.credentials(t)
		for _, s := range slices.Concat(shapes, pythonShapes) {
			t.Run(string(algorithm)+"/"+s.name, func(t *testing.T) {
				r := p.do(t, job{Method: s.verb(), URL: s.url(p.url), Host: s.host, Body: s.body,
					Stream: s.stream, Ext: s.ext, ID: id, Key: key, Hash: p.hash()})
				r.want(t, http.StatusOK)
				if got := r.Headers["x-user"]; got != user {
					t.Errorf("the server knows the client as %q, want %q", got, user)
				}
				if got, _, _ := strings.Cut(r.Headers["x-seen"], " "); got != s.verb() {
					t.Errorf("the server saw method %q, want %q", got, s.verb())
				}
				if r.Body != s.answer() {
					t.Errorf("the server repeats %q, want %q", r.Body, s.answer())
				}
			})
		}
	}
}

func TestOurServerRefusesRealClient(t *testing.T) {
	for _, algorithm := range algorithms {
		p := startPair(t, algorithm)
		id, key := p.credentials(t)
		good := job{Method: "GET", URL: p.url + "/a", ID: id, Key: key, Hash: p.hash()}
		other := map[string]string{"sha1": "sha256", "sha256": "sha1"}[p.hash()]
		slow := strconv.FormatInt(time.Now().Add(-time.Hour).Unix(), 10)
		tests := []struct {
			name      string
			change    func(*job)
			challenge string
		}{
			{"wrong key", func(j *job) { j.Key = changed(key) }, `MAC error="invalid"`},
			{"wrong id", func(j *job) { j.ID = changed(id) }, `MAC error="invalid"`},
			{"wrong hash", func(j *job) { j.Hash = other }, `MAC error="invalid"`},
			{"an hour late", func(j *job) { j.TS = slow }, `MAC error="stale"`},
			{"no MAC but a password", func(j *job) { j.User, j.Password = user, password }, "MAC"},
		}
		for _, test := range tests {
			t.Run(string(algorithm)+"/"+test.name, func(t *testing.T) {
				bad := good
				test.change(&bad)
				r := p.do(t, bad)
				r.want(t, http.StatusUnauthorized)
				got, _, _ := strings.Cut(r.Headers["www-authenticate"], ", ts=")
				if got != test.challenge {
					t.Errorf("challenge %q, want %q", got, test.challenge)
				}
			})
		}
		p.do(t, good).want(t, http.StatusOK)
	}
}

// Requests that the real client can send and that our server refuses. Its own server may accept
// them. The list must stay complete: each row is a decision, with its reason.
func TestWhatWeRefuseOfRealClient(t *testing.T) {
	for _, algorithm := range algorithms {
		ours := startPair(t, algorithm)
		server := startServices(t)[algorithm].url
		theirs := newPair(t, algorithm, server.String(), server.Port())
		now := strconv.FormatInt(time.Now().Unix(), 10)
		tests := []struct {
			name         string
			job          job
			ours, theirs int
			reason       string
		}{
			{"leading zeros in ts", job{URL: "/a", TS: "00" + now}, 401, 200,
				"the draft (section 3.1) knows none, and one time has one spelling"},
			{"empty port", job{URL: "/a", Host: "example.com:"}, 401, 200,
				"one port has one spelling"},
			{"zone of an IPv6 address", job{URL: "http://[fe80::1%25eth0]:8080/a"}, 401, 200,
				"it means nothing on another machine, and belongs in no Host field (RFC 6874)"},
			{"user in the URL", job{URL: "http://user:pw@example.com/a"}, 400, 200,
				"net/http refuses such a Host field (RFC 9110, section 7.2)"},
			{"leading slashes", job{URL: "//a//b"}, 401, 401,
				"the client signs them, but servers of Python see only one"},
			{"quote in ext", job{URL: "/a", Ext: `a"b`}, 401, 401, "the draft has no escapes"},
			{"backslash in ext", job{URL: "/a", Ext: `a\b`}, 401, 401, "the draft has no escapes"},
		}
		for _, test := range tests {
			t.Run(string(algorithm)+"/"+test.name, func(t *testing.T) {
				for p, want := range map[*pair]int{ours: test.ours, theirs: test.theirs} {
					j := test.job
					if strings.HasPrefix(j.URL, "/") {
						j.URL = p.url + j.URL
					}
					j.Method, j.Hash = "GET", p.hash()
					j.ID, j.Key = p.credentials(t)
					if r := p.do(t, j); r.Status != want {
						t.Errorf("%s says %d, want %d (%s)", p.url, r.Status, want, test.reason)
					}
				}
			})
		}
	}
}

func TestOurServerRefusesRealClientsReplay_R1(t *testing.T) {
	for _, algorithm := range algorithms {
		t.Run(string(algorithm), func(t *testing.T) {
			p := startPair(t, algorithm)
			id, key := p.credentials(t)
			r := p.do(t, job{Method: "GET", URL: p.url + "/a", ID: id, Key: key, Hash: p.hash()})
			r.want(t, http.StatusOK)
			replay := func(target string) *http.Response {
				req, err := http.NewRequestWithContext(t.Context(), "GET", p.url+target, nil)
				if err != nil {
					t.Fatal(err)
				}
				req.Header.Set("Authorization", r.Authorization)
				resp, _ := do(t, http.DefaultClient, req)
				wantStatus(t, resp, http.StatusUnauthorized)
				return resp
			}
			if got := replay("/a").Header.Get("WWW-Authenticate"); got != `MAC error="nonce"` {
				t.Errorf("challenge %q, want one that says the nonce was used", got)
			}
			replay("/b")
		})
	}
}

func TestOurServerRefusesRealClientsPassword(t *testing.T) {
	p := startPair(t, mac.SHA1)
	r := p.do(t, job{Method: "POST", URL: p.url + "/provision", User: user, Password: "wrong"})
	r.want(t, http.StatusUnauthorized)
	if got := r.Headers["www-authenticate"]; !strings.HasPrefix(got, `Basic realm="provision"`) {
		t.Errorf("challenge %q, want Basic", got)
	}
}

// Both sides derive tokens and keys from the same master secret, so credentials that one side
// issues work at the other side's service.
func TestTokensAreInterchangeable(t *testing.T) {
	services := startServices(t)
	for _, algorithm := range algorithms {
		t.Run(string(algorithm), func(t *testing.T) {
			p, s := startPair(t, algorithm), services[algorithm]
			id, key := p.credentials(t)
			ours := &mac.Credentials{ID: id, Key: creds.Secret(key), Algorithm: algorithm}
			resp := get(t, s.client(ours, nil), s.url.String()+"/a")
			wantStatus(t, resp, http.StatusOK)
			if got := resp.Header.Get("X-User"); got != user {
				t.Errorf("tokenlib reads the user %q from our token, want %q", got, user)
			}

			source, _ := s.source()
			theirs, err := source.Credentials(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			// tokenlib's ids are valid for five minutes, and only the id itself contains that time.
			left := time.Until(theirs.Expires)
			if left < 290*time.Second || left > 302*time.Second {
				t.Errorf("we read from tokenlib's token that it lives for %v, want 5 minutes", left)
			}
			r := p.do(t, job{Method: "GET", URL: p.url + "/a", ID: theirs.ID,
				Key: string(theirs.Key), Hash: p.hash()})
			r.want(t, http.StatusOK)
			if got := r.Headers["x-user"]; got != user {
				t.Errorf("we read the user %q from tokenlib's token, want %q", got, user)
			}
		})
	}
}
