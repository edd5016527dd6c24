package raven_test

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-go/countersign/raven"
)

// TestStrangersStoreNothing has a client do everything that is possible without a user of the
// service. The store must stay unwritten, and the cookies must fit into the browser's limit.
func TestStrangersStoreNothing(t *testing.T) {
	long := secret + "?a=" + strings.Repeat("a", 1000)
	message := strings.Repeat(`"\<&>é`, 500)
	for name, act := range map[string]func(b *browser){
		"a page":       func(b *browser) { b.get(secret) },
		"a page twice": func(b *browser) { b.get(secret); b.get(secret) },
		"a long form":  func(b *browser) { b.send("POST", long) },
		"a program":    func(b *browser) { b.accept = "*/*"; b.get(secret) },
		"a session":    func(b *browser) { b.cookie = b.cookieOf("made-up"); b.get(secret) },
		"a logout":     func(b *browser) { b.handler = logout(b); b.send("POST", site) },
		"a late logout": func(b *browser) {
			b.get(secret)
			b.handler = logout(b)
			b.send("POST", site)
		},
		"a wrong answer": func(b *browser) { b.get(secret); b.get(secret + "?WLS-Response=x") },
		"an answer":      func(b *browser) { b.get(answer{url: secret}.write(b.t, nil)) },
		"another's answer": func(b *browser) {
			b.get(secret)
			b.get(answer{params: "other"}.write(b.t, b.asked()))
		},
		"an unsigned failure": func(b *browser) {
			b.logIn(long, answer{status: raven.StatusCancelled, unsigned: true})
			b.get(long)
			b.is(401, "")
			b.get(long)
			b.is(303, serviceURL)
		},
		"a signed failure": func(b *browser) {
			b.logIn(secret, answer{status: raven.StatusDeclined, msg: message})
			b.get(secret)
			b.is(401, "")
		},
		"failures of all kinds": func(b *browser) {
			for _, status := range []raven.Status{410, 510, 520, 530, 540, 560, 570} {
				b.logIn(secret, answer{status: status})
				b.get(secret)
				b.is(401, "")
			}
		},
	} {
		for _, outside := range []bool{false, true} {
			t.Run(fmt.Sprint(name, ", LoadAndSave ", outside), func(t *testing.T) {
				l := newLogin(t)
				l.Sessions = newSessions()
				store := &countingStore{Store: l.Sessions.Store}
				l.Sessions.Store = store
				b := newBrowser(t, l)
				if outside {
					b.handler = l.Sessions.LoadAndSave(b.handler)
				}
				act(b)
				if store.commits != 0 || store.deletes != 0 {
					t.Errorf("%d records written, %d deleted", store.commits, store.deletes)
				}
				if b.pending != nil && len(b.pending.Name)+len(b.pending.Value) > 4096 {
					t.Errorf("a cookie of %d bytes", len(b.pending.Name)+len(b.pending.Value))
				}
			})
		}
	}
}

func logout(b *browser) http.Handler { return http.HandlerFunc(b.login.Logout) }

func (b *browser) cookieOf(value string) *http.Cookie {
	return &http.Cookie{Name: b.sessions.Cookie.Name, Value: value}
}

// TestPendingForged has an attacker write the cookie of a pending login. Only a value that one of
// the keys signed for this cookie is accepted.
func TestPendingForged(t *testing.T) {
	key, other := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)
	login := func(keys ...[]byte) *raven.Login {
		l := newLogin(t)
		l.CookieKeys, l.Sessions = keys, newSessions()
		return l
	}
	renamed := login(key)
	renamed.Sessions.Cookie.Name = "__Host-other"
	token := raven.Pending{Token: "t"}
	good := login(key).PendingCookie(token)
	payload, signature, _ := strings.Cut(good.Value, ".")
	more, _, _ := strings.Cut(login(key).PendingCookie(raven.Pending{Token: "u"}).Value, ".")
	for name, tt := range map[string]struct {
		value string
		taken bool
	}{
		"its own":          {good.Value, true},
		"an older key":     {login(other).PendingCookie(token).Value, true},
		"an unknown key":   {login(bytes.Repeat([]byte{3}, 32)).PendingCookie(token).Value, false},
		"another cookie":   {renamed.PendingCookie(token).Value, false},
		"another payload":  {more + "." + signature, false},
		"no signature":     {payload, false},
		"an empty one":     {payload + ".", false},
		"half a signature": {payload + "." + signature[:20], false},
		"nothing":          {"", false},
		"garbage":          {"%%%.%%%", false},
		"too long":         {good.Value + strings.Repeat("A", 4096), false},
	} {
		b := newBrowser(t, login(key, other))
		b.pending = &http.Cookie{Name: good.Name, Value: tt.value}
		b.get(answer{url: secret, params: "t"}.write(t, nil))
		if want := map[bool]int{true: 303, false: 403}[tt.taken]; b.code != want {
			t.Errorf("%s: %d, want %d", name, b.code, want)
		}
	}
}

// TestLateTab has the response to a request from before a login arrive after the login. The browser
// then keeps a token that the login has used up. The next login needs another token: otherwise the
// Login would treat its answer as a second answer to the first request, and the browser would be in
// a redirect loop.
func TestLateTab(t *testing.T) {
	b := newBrowser(t, newLogin(t))
	b.get(secret)
	late := b.pending
	b.get(answer{sso: "pwd"}.write(t, b.asked()))
	b.is(303, secret)
	b.pending = late
	b.handler = newStrict(b)
	b.logIn(secret, answer{})
	b.get(secret)
	b.is(200, "")
}

// TestTwoSites has two sites on one host share their sessions. A tab of each site can log in.
func TestTwoSites(t *testing.T) {
	one := newLogin(t)
	one.BaseURL = site + "/one"
	b := newBrowser(t, one)
	two := newLoginLike(b)
	two.BaseURL = site + "/two"
	first := b.handler
	b.get(secret)
	asked := b.asked()
	b.handler = two.Require(http.HandlerFunc(b.page))
	b.get(secret)
	b.is(303, serviceURL)
	b.handler = first
	_, query, _ := strings.Cut(answer{}.write(t, asked), "?")
	b.get(secret + "?" + query)
	b.is(303, site+"/one/secret")
}

// TestPendingKeys has two processes of one site, or one process that is restarted.
func TestPendingKeys(t *testing.T) {
	key := bytes.Repeat([]byte{1}, 32)
	for name, tt := range map[string]struct {
		first, second [][]byte
		code          int
	}{
		"none":      {nil, nil, 303}, // one process
		"the same":  {[][]byte{key}, [][]byte{key}, 303},
		"different": {[][]byte{key}, [][]byte{bytes.Repeat([]byte{2}, 32)}, 403},
		"one alone": {[][]byte{key}, nil, 403},
	} {
		one := newLogin(t)
		one.CookieKeys = tt.first
		b := newBrowser(t, one)
		b.get(secret)
		back := answer{}.write(t, b.asked())
		two := newLoginLike(b)
		two.CookieKeys = tt.second
		b.handler = two.Require(http.HandlerFunc(b.page))
		if b.get(back); b.code != tt.code {
			t.Errorf("%s: %d, want %d", name, b.code, tt.code)
		}
	}
}

// TestPendingUntil sends the cookie after it has expired, as a browser or a thief might.
func TestPendingUntil(t *testing.T) {
	for after, code := range map[time.Duration]int{59 * time.Minute: 303, time.Hour: 403} {
		b := newBrowser(t, newLogin(t))
		synctest.Test(t, func(t *testing.T) {
			b.t = t
			b.get(secret)
			asked := b.asked()
			time.Sleep(after)
			if b.get(answer{}.write(t, asked)); b.code != code {
				t.Errorf("after %v: %d, want %d", after, b.code, code)
			}
		})
	}
}

// TestPendingCookie_S15 checks that the cookie has the attributes of the session's cookie.
func TestPendingCookie_S15(t *testing.T) {
	l := newLogin(t)
	l.Sessions = newSessions()
	l.Sessions.Cookie.Name, l.Sessions.Cookie.Path = "id", "/app"
	l.Sessions.Cookie.Domain, l.Sessions.Cookie.Partitioned = "example.org", true
	b := newBrowser(t, l)
	b.get(secret)
	got := b.pending
	if got.Name != "id-login" || got.Path != "/app" || got.Domain != "example.org" ||
		!got.Partitioned || !got.Secure || !got.HttpOnly || got.SameSite != http.SameSiteLaxMode ||
		got.MaxAge != 3600 {
		t.Errorf("%v", got)
	}
	b.get(answer{}.write(t, b.asked()))
	if b.is(303, secret); b.pending != nil || b.cookie == nil {
		t.Errorf("after the login: %v, %v", b.pending, b.cookie)
	}
}

// TestKeysNotPrinted prints a Login, alone and within other values.
func TestKeysNotPrinted(t *testing.T) {
	l := newLogin(t)
	l.CookieKeys = [][]byte{[]byte("canary-7b20e4" + strings.Repeat("x", 32))}
	type holder struct{ Login *raven.Login }
	for _, value := range []any{l, []any{l}, map[string]any{"l": l}, holder{l}, &holder{l}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			text := fmt.Sprintf(verb, value)
			for _, secret := range []string{"canary", "63616e617279", "99 97 110 97 114 121",
				"0x63, 0x61"} {
				if strings.Contains(text, secret) {
					t.Errorf("%s of %T shows a key", verb, value)
				}
			}
		}
	}
	var text strings.Builder
	for name, encode := range map[string]func(any) error{
		"JSON": json.NewEncoder(&text).Encode, "XML": xml.NewEncoder(&text).Encode,
		"gob": gob.NewEncoder(&text).Encode,
	} {
		if err := encode(l); err == nil || strings.Contains(text.String(), "canary") {
			t.Errorf("%s has a form", name)
		}
	}
}

// TestAnswerTwice_L5 sends an answer a second time, with the old cookie, after the session has
// ended.
func TestAnswerTwice_L5(t *testing.T) {
	var reason error
	l := newLogin(t)
	l.Failed = func(_ http.ResponseWriter, _ *http.Request, err error) { reason = err }
	b := newBrowser(t, l)
	b.get(secret)
	kept, back := *b.pending, answer{}.write(t, b.asked())
	b.get(back)
	b.is(303, secret)
	page := b.handler
	b.handler = logout(b)
	b.send("POST", site+"/logout")
	b.is(303, logoutURL)
	b.handler, b.pending = page, &kept
	b.get(back)
	if b.is(400, ""); !errors.Is(reason, raven.ErrAnswer) || b.cookie != nil {
		t.Errorf("%v, session %v", reason, b.cookie)
	}
}

// TestFirstAnswerSetsOneSession counts the cookies set during a whole login.
func TestFirstAnswerSetsOneSession(t *testing.T) {
	l := newLogin(t)
	b := newBrowser(t, l)
	w := httptest.NewRecorder()
	b.handler.ServeHTTP(w, b.request("GET", secret))
	if got := w.Result().Cookies(); len(got) != 1 || got[0].Name != "__Host-session-login" {
		t.Errorf("before the login: %v", got)
	}
}
