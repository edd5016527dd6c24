package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/alexedwards/scs/v2/memstore"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/basic"
	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/jwt"
	"github.com/countersign-go/countersign/mac"
	"github.com/countersign-go/countersign/portal"
	"github.com/countersign-go/countersign/provision/issue"
	"github.com/countersign-go/countersign/raven"
	"github.com/countersign-go/countersign/raven/wls"
)

// The default is enough to measure the growth for one client. The limit is 1 MiB for 100,000.
var strangers = flag.Int("strangers", 3_000, "how many clients TestStrangers sends to each handler")

const (
	firstStrangers = 500 // their requests fill the tables of constant size
	maxGrowth      = 10  // bytes for each of the other clients

	appAt = "https://app.example.org"
)

// writes counts what handlers store.
type writes struct{ n atomic.Int64 }

// A sessionStore counts the sessions that are stored.
type sessionStore struct {
	scs.Store

	*writes
}

func (s sessionStore) Commit(token string, b []byte, expiry time.Time) error {
	s.n.Add(1)
	return s.Store.Commit(token, b, expiry)
}

// A recordStore counts the records that are stored. It is always empty.
type recordStore struct{ *writes }

func (recordStore) Load(context.Context, string) ([]byte, error) { return nil, creds.ErrNotFound }

func (s recordStore) Update(context.Context, string, func([]byte) ([]byte, error)) error {
	s.n.Add(1)
	return nil
}

// A nonceStore counts the nonces that are stored.
type nonceStore struct{ *writes }

func (s nonceStore) Claim(context.Context, string, string, time.Time) (bool, error) {
	s.n.Add(1)
	return true, nil
}

// A nowhere is the ResponseWriter for a client that does not read its answer.
type nowhere struct{ header http.Header }

func (n *nowhere) Header() http.Header         { return n.header }
func (n *nowhere) Write(b []byte) (int, error) { return len(b), nil }
func (n *nowhere) WriteHeader(int)             {}

// A stranger is the sender of a request that proves nothing. Each has another number.
type stranger int

func (s stranger) request(method, target, body string, fields ...string) *http.Request {
	req := httptest.NewRequest(method, target, strings.NewReader(body))
	address := netip.AddrFrom4([4]byte{10, byte(s >> 16), byte(s >> 8), byte(s)})
	req.RemoteAddr = netip.AddrPortFrom(address, 1000).String()
	if body != "" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i < len(fields); i += 2 {
		req.Header.Set(fields[i], fields[i+1])
	}
	return req
}

func (s stranger) name() string { return "stranger" + strconv.Itoa(int(s)) }

// page returns a request of a browser.
func (s stranger) page(target string) *http.Request {
	return s.request(http.MethodGet, target, "", "Accept", "text/html")
}

// mac returns credentials with an id that was never issued.
func (s stranger) mac() string {
	return fmt.Sprintf(`MAC id="%s", ts="%d", nonce="%s", mac="%s="`,
		s.name(), time.Now().Unix(), s.name(), strings.Repeat("A", 43))
}

func (s stranger) token() string {
	return "Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0." + s.name()
}

func (s stranger) basic() string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(s.name()+":x"))
}

// failed returns the answer that a stranger forges for a login that it has just begun.
func (s stranger) failed(h http.Handler) *http.Request {
	w := &nowhere{header: http.Header{}}
	h.ServeHTTP(w, s.page("/"))
	_, params, _ := strings.Cut(w.header.Get("Location"), "params=")
	answer := "3!410!!" + time.Now().UTC().Format("20060102T150405Z") + "!" + s.name() +
		"!" + appAt + "/!!!!!!" + params + "!!"
	cookie, _, _ := strings.Cut(w.header.Get("Set-Cookie"), ";")
	return s.request(http.MethodGet, "/?WLS-Response="+url.QueryEscape(answer), "",
		"Accept", "text/html", "Cookie", cookie)
}

// A door is a handler and the request that strangers send to it.
type door struct {
	name    string
	handler http.Handler
	knock   func(s stranger) *http.Request
}

// ravenDoors returns the doors of a site with a login service.
func ravenDoors(count *writes) []door {
	sessions := scs.New()
	sessions.Store = sessionStore{memstore.NewWithCleanupInterval(0), count}
	sessions.Cookie.Name, sessions.Cookie.Secure = "id", true
	login := &raven.Login{Service: raven.Demo(), BaseURL: appAt, Sessions: sessions}
	site := login.Require(http.NotFoundHandler())
	behind := sessions.LoadAndSave(site)
	page := func(s stranger) *http.Request { return s.page("/" + s.name()) }
	return []door{
		{"pages of raven.Login", site, page},
		{"pages behind LoadAndSave", behind, page},
		{"forms of raven.Login", site, func(s stranger) *http.Request {
			return s.request(http.MethodPost, "/"+s.name(), "a=b", "Accept", "text/html")
		}},
		{"cookies that are made up", site, func(s stranger) *http.Request {
			return s.request(http.MethodGet, "/", "", "Accept", "text/html",
				"Cookie", "id="+s.name()+"; id-login="+s.name()+".A")
		}},
		{"failures that are made up", site, func(s stranger) *http.Request {
			return s.failed(site)
		}},
		{"raven.Login.Logout", http.HandlerFunc(login.Logout), func(s stranger) *http.Request {
			return s.request(http.MethodPost, "/logout", "", "Cookie", "id="+s.name())
		}},
	}
}

// wlsDoors returns the doors of a login service.
func wlsDoors(users userList) []door {
	asked, err := (&raven.Request{URL: appAt + "/"}).Query()
	if err != nil {
		panic(err)
	}
	page := "/auth/authenticate.html?" + asked
	service := &wls.Server{Checker: users}
	return []door{
		{"the page of wls.Server", service, func(s stranger) *http.Request {
			return s.request(http.MethodGet, page, "", "Cookie", "wls-session="+s.name())
		}},
		{"passwords for wls.Server", service, func(s stranger) *http.Request {
			return s.request(http.MethodPost, page, "action=login&password=x&user="+s.name())
		}},
		{"logouts of wls.Server", service, func(s stranger) *http.Request {
			return s.request(http.MethodPost, "/auth/logout.html", "action=logout",
				"Cookie", "wls-session="+s.name())
		}},
	}
}

// verifierDoors returns the doors of each scheme, in front of a page.
func verifierDoors(count *writes, users userList, registry *issue.Registry) []door {
	guarded := func(a auth.Authenticator) http.Handler {
		limiter := &auth.Limiter{Every: time.Second, Burst: 10}
		guard := &auth.Guard{Stack: auth.Stack{a}, Decided: limiter.Decided}
		return limiter.Handler(guard.Handler(http.NotFoundHandler()))
	}
	secret := creds.Secret(rand.Text() + rand.Text())
	signer := &jwt.Signer{Key: secret, Method: "HS256"}
	denied := new(jwt.DenyList)
	tokens := &jwt.Verifier{
		Keys: &jwt.Key{Key: secret, Method: "HS256"}, Revoked: denied.Revoked,
	}
	session := &jwt.Session{Signer: signer, DenyList: denied}
	password := basic.Verifier{Realm: "x", Users: users}
	withMAC := func(s stranger) *http.Request {
		return s.request(http.MethodGet, "/", "", "Authorization", s.mac())
	}
	withCookie := func(s stranger) *http.Request {
		token := strings.TrimPrefix(s.token(), "Bearer ")
		return s.request(http.MethodPost, "/", "a=b", "Cookie", "__Host-session="+token)
	}
	return []door{
		{"mac.Verifier", guarded(&mac.Verifier{Keys: registry.Key}), withMAC},
		{"mac.Verifier with Nonces", guarded(
			&mac.Verifier{Keys: registry.Key, Nonces: nonceStore{count}}), withMAC},
		{"basic.Verifier", guarded(password), func(s stranger) *http.Request {
			return s.request(http.MethodGet, "/", "", "Authorization", s.basic())
		}},
		{"jwt.Verifier", guarded(tokens), func(s stranger) *http.Request {
			return s.request(http.MethodGet, "/", "", "Authorization", s.token())
		}},
		{"jwt.Session", session.Handler(guarded(session)), withCookie},
		{"jwt.Session.Clear", http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if err := session.Clear(w, req); err != nil {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
		}), withCookie},
		{"issue.Handler", &issue.Handler{
			Auth: auth.Stack{password, &mac.Verifier{Keys: registry.Key}}, Issue: registry.Issue,
			PerAddress: &auth.Limiter{Every: time.Second, Burst: 10},
			PerSubject: &auth.Limiter{Every: time.Second, Burst: 10},
		}, func(s stranger) *http.Request {
			return s.request(http.MethodPost, "/", "", "Authorization", s.basic())
		}},
	}
}

// siteDoors returns the doors of this program's service.
func siteDoors(users userList, registry *issue.Registry) []door {
	s := &service{users: users, listening: appAt, registry: registry, login: &raven.Login{
		Service: raven.Demo(), BaseURL: appAt, AnyPTags: true}}
	site := s.handler()
	var doors []door
	for _, what := range []string{"GET /", "GET /login", "POST /keys", "GET /keys/x",
		"POST /keys/x/revoke", "POST /logout", "GET /credentials", "POST /provision"} {
		method, path, _ := strings.Cut(what, " ")
		doors = append(doors, door{"luckynum, " + what, site, func(s stranger) *http.Request {
			return s.request(method, path, "", "Accept", "text/html", "Cookie",
				"__Host-raven="+s.name())
		}})
	}
	return append(doors, door{"luckynum, signed", site, func(s stranger) *http.Request {
		return s.request(http.MethodGet, "/", "", "Authorization", s.mac())
	}}, door{"luckynum, POST /login", site, func(s stranger) *http.Request {
		return s.request(http.MethodPost, "/login", "username=x&password="+s.name())
	}})
}

// TestStrangers makes very many clients that prove nothing send requests to each handler of the
// module, each with its own address and names. Memory must not grow, and no store may be written
// to.
func TestStrangers(t *testing.T) {
	count := new(writes)
	registry := &issue.Registry{Store: recordStore{count}}
	users := portal.Memory{"demo": creds.Secret(rand.Text())}
	doors := slices.Concat(ravenDoors(count), wlsDoors(users),
		verifierDoors(count, users, registry), siteDoors(users, registry))
	var worst int64
	for _, d := range doors {
		growth := d.crowd()
		t.Logf("%s: %+d B", d.name, growth)
		if worst = max(worst, growth); growth > int64(maxGrowth**strangers) {
			t.Errorf("%s: the heap has grown by %d bytes", d.name, growth)
		}
		if n := count.n.Swap(0); n > 0 {
			t.Errorf("%s: %d records were written", d.name, n)
		}
	}
	t.Logf("figure 6: %d strangers at each of %d handlers: the heap has grown by %d KiB at most",
		*strangers, len(doors), worst/1024)
}

// crowd sends the requests of all strangers to a door. It returns the growth of the heap in bytes.
func (d *door) crowd() int64 {
	var before int64
	for i := range *strangers {
		if i == firstStrangers {
			before = heap()
		}
		d.handler.ServeHTTP(&nowhere{header: http.Header{}}, d.knock(stranger(i)))
	}
	growth := heap() - before
	runtime.KeepAlive(d.handler)
	return growth
}

// heap returns the bytes of the heap in use.
func heap() int64 {
	runtime.GC()
	runtime.GC() // frees the contents of pools
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
