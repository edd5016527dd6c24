package mac_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/mac"
)

func (d *distortion) check(t *testing.T) {
	req, key, v := d.arrange(t)
	e, err := mac.ExplainAt(req, key, v, testTime)
	if err != nil {
		t.Fatal(err)
	}
	if !e.Matches || !slices.Equal(e.Causes, d.causes) || !strings.Contains(e.String(), d.text) {
		t.Errorf("%q, %v; want %q, %q", e.Causes, e, d.causes, d.text)
	}
	if e.Read == "" || e.Signed == "" {
		t.Errorf("dumps: %q, %q", e.Read, e.Signed)
	}
	if _, err := v.AuthenticateAt(req, testTime); err == nil {
		t.Error("the Verifier accepts it: there was nothing to explain")
	}
}

// TestExplainer checks that a Verifier explains refusals as an auth.Explainer.
func TestExplainer(t *testing.T) {
	v := newVerifier()
	req := newRequest(t, "GET", "http://example.com/a")
	if _, err := v.Explain(received(req)); !errors.Is(err, auth.ErrNone) {
		t.Errorf("without credentials: %v", err)
	}
	if err := (&mac.Signer{Source: testCreds}).Sign(req, time.Now()); err != nil {
		t.Fatal(err)
	}
	changed := received(req)
	changed.RequestURI = "/a/"
	text, err := v.Explain(changed)
	e, want := mac.Explain(changed, nil, v)
	if err != nil || want != nil || text != e.String() || !strings.Contains(text, "slash") {
		t.Errorf("%q, %v; want %v, %v", text, err, e, want)
	}
}

// TestExplain explains each of the 14 kinds of distortions, and others.
func TestExplain(t *testing.T) {
	var kinds []string
	for _, d := range alone {
		t.Run(d.kind+"/"+d.reason, d.check)
		if !slices.Contains(kinds, d.kind) {
			kinds = append(kinds, d.kind)
		}
	}
	want := "port 80/443, scheme, Host variants, forwarded headers, decoded path, " +
		"re-quoted path, reordered query, re-encoded query, trailing slash, " +
		"key read as base64, other algorithm, other dialect, clock, body re-serialised"
	if got := strings.Join(kinds, ", "); got != want || len(kinds) != 14 {
		t.Errorf("%d kinds: %s", len(kinds), got)
	}
	for _, d := range others {
		t.Run(d.reason, d.check)
	}
}

func TestExplainTwo(t *testing.T) {
	for _, d := range pairs {
		t.Run(d.kind+"/"+d.reason, d.check)
	}
}

// Explain must say so if it cannot explain a refusal, whatever else is wrong.
func TestExplainNothing(t *testing.T) {
	for _, d := range append(slices.Clone(alone), pairs...) {
		if d.kind == "key read as base64" {
			continue
		}
		req, key, v := d.arrange(t)
		key.Secret = []byte("another key of another account")
		e, err := mac.ExplainAt(req, key, v, testTime)
		if err != nil || e.Matches || e.Signed != "" ||
			!strings.HasPrefix(e.String(), "no known distortion") {
			t.Errorf("%s, %s: %v, %v", d.kind, d.reason, e, err)
		}
	}
	for name, tamper := range map[string]func(*http.Request){
		"another path":      target("/admin"),
		"another value":     target("/a/b?x=2&y=2"),
		"another method":    func(req *http.Request) { req.Method = "DELETE" },
		"another nonce":     rewrite(`nonce="`, `nonce="x`),
		"another ext":       rewrite(`, mac=`, `, ext="x", mac=`),
		"a line of its own": target("/a%0Aapi.example.com"),
	} {
		d := distortion{proxy: tamper}
		req, key, v := d.arrange(t)
		if e, err := mac.ExplainAt(req, key, v, testTime); err != nil || e.Matches {
			t.Errorf("%s: %v, %v", name, e, err)
		}
	}
}

func rewrite(old, with string) func(*http.Request) {
	return func(req *http.Request) {
		line := req.Header.Get("Authorization")
		req.Header.Set("Authorization", strings.Replace(line, old, with, 1))
	}
}

// Explain must not take a path that decodes to the lines of another request for that request.
func TestExplainShiftedLines(t *testing.T) {
	d := distortion{proxy: all(
		signedBy(textKey, "/a\nx", "api.example.com"), target("/a%0Ax"))}
	req, key, v := d.arrange(t)
	if e, err := mac.ExplainAt(req, key, v, testTime); err != nil || e.Matches {
		t.Errorf("%v, %v", e, err)
	}
}

func TestExplainRight(t *testing.T) {
	d := distortion{}
	req, key, v := d.arrange(t)
	for range 2 { // Explain claims no nonce
		e, err := mac.ExplainAt(req, key, v, testTime)
		if err != nil || !e.Matches || len(e.Causes) != 0 || e.Read != e.Signed ||
			!strings.Contains(e.String(), "nonce had been used") {
			t.Errorf("%v, %v", e, err)
		}
	}
	if _, err := v.AuthenticateAt(req, testTime); err != nil {
		t.Error(err)
	}
	sent := newRequest(t, "GET", secureURL)
	sent.Header = req.Header
	e, err := mac.Explain(sent, key, nil) // years later
	if err != nil || !e.Matches || len(e.Causes) != 0 ||
		!strings.Contains(e.String(), "the MAC is right for this request") {
		t.Errorf("as the client has sent it: %v, %v", e, err)
	}
}

// TestExplainDialects has requests that Draft01 and WebOb read differently. One call names the
// difference, for a Verifier of either dialect, both to the refused client and to the server.
func TestExplainDialects(t *testing.T) {
	key := &mac.Key{Secret: testCreds.Key}
	for target, want := range map[string]string{
		"/a%2Fb": "what is escaped in its path", "//x": "the slashes at its start",
		"/a?": "the question mark without a query", "/l[0]": "what is escaped in its path",
		"//a%2Fb?": "the slashes at its start and what is escaped in its path and the question",
		"/a/b?c":   "",
	} {
		for _, signed := range []mac.Dialect{mac.Draft01, mac.WebOb} {
			req := newRequest(t, "GET", "http://example.com"+target)
			s := &mac.Signer{Source: testCreds, Dialect: signed}
			if err := s.Sign(req, testTime); err != nil {
				t.Fatal(err)
			}
			for _, d := range []mac.Dialect{mac.Draft01, mac.WebOb} {
				for _, got := range []*http.Request{req, received(req)} {
					e, err := mac.ExplainAt(got, key, &mac.Verifier{Dialect: d}, testTime)
					if err != nil || !e.Matches {
						t.Fatalf("%s: %v, %v", target, e, err)
					}
					if got.RequestURI != "" && d == signed {
						continue // nothing is wrong in this case
					}
					if !strings.Contains(e.String(), want) ||
						want == "" && strings.Contains(e.String(), "ialect") {
						t.Errorf("%s signed in %v, explained in %v: %v", target, signed, d, e)
					}
					if strings.Contains(e.String(), target) && target != "//x" && len(target) > 3 {
						t.Errorf("the target is shown: %v", e)
					}
				}
			}
		}
	}
}

func TestExplainAsksKeys(t *testing.T) {
	down := errors.New("database is down")
	for _, tt := range []struct {
		reason  string
		keys    mac.KeyFunc
		matches bool
		causes  []string
		err     error
	}{
		{"known", oneKey(&mac.Credentials{ID: "ann", Key: []byte(textKey)}), true, nil, nil},
		{"unknown", oneKey(&mac.Credentials{ID: "bob"}), false, []string{"unknown id"}, nil},
		{"down", func(context.Context, string) (*mac.Key, error) { return nil, down }, false, nil,
			down},
		{"nobody to ask", nil, false, nil, auth.ErrUnavailable},
		{"no secret", oneKey(&mac.Credentials{ID: "ann"}), false, nil, auth.ErrUnavailable},
		{"an algorithm that is not known",
			oneKey(&mac.Credentials{ID: "ann", Key: []byte(textKey), Algorithm: "md5"}), true,
			[]string{"algorithm"}, nil},
	} {
		d := distortion{}
		req, _, v := d.arrange(t)
		v.Keys = tt.keys
		e, err := mac.ExplainAt(req, nil, v, testTime)
		if !errors.Is(err, tt.err) {
			t.Errorf("%s: %v", tt.reason, err)
		}
		if err == nil && (e.Matches != tt.matches || !slices.Equal(e.Causes, tt.causes)) {
			t.Errorf("%s: %v", tt.reason, e)
		}
	}
}

func TestExplainErrors(t *testing.T) {
	key := &mac.Key{Secret: []byte(textKey)}
	long := strings.Repeat("a", 64<<10)
	for _, tt := range []struct {
		reason string
		proxy  func(*http.Request)
		server func(*mac.Verifier, *mac.Key)
		err    error
	}{
		{"no header", func(req *http.Request) { req.Header.Del("Authorization") }, nil,
			auth.ErrNone},
		{"another scheme", field("Authorization", "Basic eDp5"), nil, auth.ErrNone},
		{"no MAC", field("Authorization", `MAC id="ann"`), nil, mac.ErrMalformed},
		{"too long", field("Authorization", "MAC "+long), nil, mac.ErrMalformed},
		{"a long target", target("/" + long), nil, mac.ErrMalformed},
		{"no host", rename(""), nil, mac.ErrMalformed},
		{"a host that is none", rename("a b"), nil, mac.ErrMalformed},
		{"a target that is none", target("x"), nil, mac.ErrMalformed},
		{"a method in lower case", func(req *http.Request) { req.Method = "get" }, nil,
			mac.ErrMalformed},
		{"a server with Django", nil,
			func(v *mac.Verifier, _ *mac.Key) { v.Dialect = mac.Django }, mac.ErrMalformed},
		{"no secret", nil, secret(nil), auth.ErrUnavailable},
	} {
		d := distortion{proxy: tt.proxy, server: tt.server}
		req, k, v := d.arrange(t)
		if e, err := mac.ExplainAt(req, k, v, testTime); !errors.Is(err, tt.err) || e != nil {
			t.Errorf("%s: %v, %v", tt.reason, e, err)
		}
	}
	sent := newRequest(t, "GET", secureURL)
	sent.URL = nil
	sent.Header.Set("Authorization",
		`MAC id="a", ts="1", nonce="n", mac="`+expected("", "k", "")+`"`)
	if _, err := mac.Explain(sent, key, nil); !errors.Is(err, mac.ErrMalformed) {
		t.Errorf("no URL: %v", err)
	}
}

// Explain must leave the body for the next reader.
func TestExplainPutsTheBodyBack(t *testing.T) {
	for _, body := range []string{"text", strings.Repeat("long ", 300_000)} {
		d := distortion{signer: digests, server: wantsDigest, body: body}
		req, key, v := d.arrange(t)
		if _, err := mac.ExplainAt(req, key, v, testTime); err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(req.Body); err != nil || string(got) != body {
			t.Errorf("%d bytes of %d, %v", len(got), len(body), err)
		}
	}
	refused := distortion{signer: digests, server: wantsDigest, body: "one\n",
		proxy: payload("one")}
	req, key, v := refused.arrange(t)
	_, err := v.AuthenticateAt(req, testTime)
	if !errors.Is(err, mac.ErrDigest) {
		t.Fatal(err)
	}
	e, err := mac.ExplainAt(req, key, v, testTime)
	if err != nil || !strings.Contains(e.String(), "a line feed at the end of the body") {
		t.Errorf("behind a Verifier: %v, %v", e, err)
	}
	broken := distortion{signer: digests, server: wantsDigest, body: "text",
		proxy: func(req *http.Request) {
			req.Body = io.NopCloser(io.MultiReader(strings.NewReader("te"), new(brokenReader)))
		}}
	req, key, v = broken.arrange(t)
	e, err = mac.ExplainAt(req, key, v, testTime)
	if err != nil || !strings.Contains(e.String(), "cut off") {
		t.Errorf("%v, %v", e, err)
	}
	if got, err := io.ReadAll(req.Body); !errors.Is(err, errBroken) || string(got) != "te" {
		t.Errorf("%q, %v", got, err)
	}
}

var errBroken = errors.New("broken")

// brokenReader returns its error once, and then io.EOF.
type brokenReader struct{ said bool }

func (r *brokenReader) Read([]byte) (int, error) {
	if r.said {
		return 0, io.EOF
	}
	r.said = true
	return 0, errBroken
}

// TestExplainSecrets_K6 searches all of the text of an Explanation for the key and for MACs.
func TestExplainSecrets_K6(t *testing.T) {
	const planted = "canary-51d7e0-key"
	var out bytes.Buffer
	var macs []string
	for _, key := range []string{
		planted, base64.StdEncoding.EncodeToString([]byte(planted)), "other",
	} {
		for _, d := range append(slices.Concat(alone, pairs, others), distortion{}) {
			signer := d.signer
			d.signer = func(s *mac.Signer, c *mac.Credentials) {
				c.Key = []byte(planted)
				if signer != nil {
					signer(s, c)
				}
			}
			req, k, v := d.arrange(t)
			k.Secret = creds.Secret(key)
			e, err := mac.ExplainAt(req, k, v, testTime)
			fmt.Fprintf(&out, "%v %+v %#v %s", e, e, e, err)
			dump, err := mac.Dump(req, v)
			fmt.Fprintln(&out, dump, err)
			if e != nil && e.Matches {
				text := undump(t, e.Signed)
				macs = append(macs, expected("", planted, text), expected(mac.SHA1, planted, text))
			}
			if e != nil {
				text := undump(t, e.Read)
				macs = append(macs, expected("", planted, text), expected(mac.SHA1, planted, text))
			}
		}
	}
	text := out.String()
	for _, form := range []string{planted, base64.StdEncoding.EncodeToString([]byte(planted)),
		base64.RawURLEncoding.EncodeToString([]byte(planted)), hex.EncodeToString([]byte(planted)),
		fmt.Sprint([]byte(planted)),
		strings.Trim(fmt.Sprintf("%#v", []byte(planted)), "[]byte{}")} {
		if strings.Contains(text, form) {
			t.Errorf("the key is told, %d characters", len(form))
		}
	}
	for _, m := range macs {
		if strings.Contains(text, m) {
			t.Error("a MAC is told")
		}
	}
	if len(macs) < 200 {
		t.Errorf("only %d MACs were looked for", len(macs))
	}
}

// Explain must explain hostile requests of the largest size in bounded time.
func TestExplainIsBounded(t *testing.T) {
	many := strings.Repeat("a,", 4000)
	for reason, proxy := range map[string]func(*http.Request){
		"many parameters": target("/?" + strings.Repeat("%41=%42&", 8000)),
		"many slashes":    target(strings.Repeat("/%2F", 16000)),
		"many proxies": all(field("X-Forwarded-Host", many), field("X-Forwarded-Port", many),
			field("Forwarded", strings.Repeat("host=a;proto=https;", 1000))),
		"long host":   field("X-Forwarded-Host", strings.Repeat("a", 1<<20)),
		"long prefix": field("X-Forwarded-Prefix", strings.Repeat("/a", 1<<19)),
		"many hosts": all(target("/%7e:%20/%2F/a,b/?b=:&c=%2f&d=+&e"),
			field("Forwarded", "host=a;host=b;host=c;"+
				"host=d;host=e;proto=http;proto=https,host=f;host=g;host=h;host=i;proto=http")),
		"long header": rewrite(`mac=`, `ext="`+strings.Repeat("x", 8000)+`", mac=`),
	} {
		d := distortion{proxy: all(proxy, rewrite(`nonce="`, `nonce="x`))}
		req, key, v := d.arrange(t)
		e, err := mac.ExplainAt(req, key, v, testTime)
		if err != nil {
			t.Fatalf("%s: %v", reason, err)
		}
		tries, hashed := e.Cost()
		if tries > 4096 || hashed > 6<<20 {
			t.Errorf("%s: %d HMACs of %d bytes", reason, tries, hashed)
		}
	}
}

// Indenting lengthens each line of JSON by its depth.
func TestExplainDeepJSON(t *testing.T) {
	for reason, body := range map[string]string{
		"deep": strings.Repeat("[", 9000) + strings.Repeat("]", 9000),
		"long and deep": strings.Repeat("[", 63) + strings.Repeat("0,", 500_000) + "0" +
			strings.Repeat("]", 63),
		"just short enough": strings.Repeat("[", 63) + strings.Repeat("0,", 32_000) + "0" +
			strings.Repeat("]", 63),
	} {
		d := distortion{signer: digests, server: wantsDigest, body: "x", proxy: payload(body)}
		req, key, v := d.arrange(t)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if e, err := mac.ExplainAt(req, key, v, testTime); err != nil || e.Causes[0] != "body" {
			t.Errorf("%s: %v, %v", reason, e, err)
		}
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; took > 16<<20 {
			t.Errorf("%s: %d bytes were allocated", reason, took)
		}
	}
}

// undump returns the base string that a dump shows.
func undump(t testing.TB, dump string) string {
	t.Helper()
	var text strings.Builder
	for line := range strings.Lines(dump) {
		var name, value string
		if _, err := fmt.Sscanf(line, "%s %q", &name, &value); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if name != "id" {
			text.WriteString(value)
		}
	}
	return text.String()
}

func TestDump(t *testing.T) {
	req := httptest.NewRequest("GET", "/a%0Ab?q=1", nil)
	req.Host = "Example.com"
	if err := (&mac.Signer{Source: testCreds, Ext: fixed("a b")}).Sign(req, testTime); err != nil {
		t.Fatal(err)
	}
	p := params(t, req.Header.Get("Authorization"))
	for _, d := range []mac.Dialect{mac.Draft01, mac.WebOb} {
		dump, err := mac.Dump(req, &mac.Verifier{Dialect: d})
		if err != nil {
			t.Fatal(err)
		}
		want, err := mac.BaseString(req, d, p["ts"], p["nonce"], p["ext"])
		if err != nil || undump(t, dump) != want || strings.Count(dump, "\n") != 8 {
			t.Errorf("%s\nwant %q, %v", dump, want, err)
		}
	}
	req.Header.Del("Authorization")
	if _, err := mac.Dump(req, nil); !errors.Is(err, auth.ErrNone) {
		t.Error(err)
	}
}

func FuzzExplain(f *testing.F) {
	for _, d := range slices.Concat(alone, pairs, others) {
		req, _, _ := d.arrange(f)
		f.Add(req.Method, req.RequestURI, req.Host, req.Header.Get("Authorization"),
			req.Header.Get("Forwarded"), req.Header.Get("X-Forwarded-Host"), d.body)
	}
	f.Fuzz(func(t *testing.T, method, to, host, line, forwarded, forwardedHost, body string) {
		req := &http.Request{
			Method: method, RequestURI: to, Host: host, URL: &url.URL{Host: forwardedHost},
			Header: http.Header{"Authorization": {line}, "Forwarded": {forwarded},
				"X-Forwarded-Host": {forwardedHost}, "X-Forwarded-Prefix": {to}},
			Body: io.NopCloser(strings.NewReader(body)),
		}
		key := &mac.Key{Secret: []byte(textKey)}
		v := &mac.Verifier{BodyDigest: true, Dialect: mac.Dialect(len(body) % 2)}
		e, err := mac.ExplainAt(req, key, v, testTime)
		if err != nil {
			return
		}
		if strings.Contains(e.String(), textKey) || e.Matches != (e.Signed != "") {
			t.Errorf("%v, %q", e, e.Signed)
		}
		v.Keys = func(context.Context, string) (*mac.Key, error) { return key, nil }
		_, refused := v.AuthenticateAt(req, testTime)
		if right := e.Matches && len(e.Causes) == 0; right != (refused == nil) {
			t.Errorf("the Verifier says %v, and Explain %q", refused, e)
		}
	})
}

func BenchmarkExplain(b *testing.B) {
	for name, d := range map[string]distortion{
		"port": alone[0], "two": pairs[1], "none": {proxy: all(rename("backend:8000"),
			target("/admin?x=1&y=2"), field("X-Forwarded-Host", "api.example.com"))},
	} {
		b.Run(name, func(b *testing.B) {
			req, key, v := d.arrange(b)
			b.ReportAllocs()
			for b.Loop() {
				_, _ = mac.ExplainAt(req, key, v, testTime)
			}
		})
	}
}

// TestExplainUnsentBody explains a request that is still to be sent. Explain reads its body from
// GetBody, and leaves the body for the next reader.
func TestExplainUnsentBody(t *testing.T) {
	broken := errors.New("test: broken")
	giving := func(body io.Reader, open, end error) func() (io.ReadCloser, error) {
		return func() (io.ReadCloser, error) { return readCloser{body, end}, open }
	}
	for _, tt := range []struct {
		reason string
		again  func() (io.ReadCloser, error) // replaces GetBody unless nil
		causes []string
	}{
		{"the body that was signed", nil, nil},
		{"another body", giving(strings.NewReader("b"), nil, nil), []string{"body"}},
		{"one that cannot be opened", giving(nil, broken, nil), []string{"body"}},
		{"one that cannot be read", giving(iotest.ErrReader(broken), nil, nil), []string{"body"}},
		{"one that cannot be closed", giving(strings.NewReader("a"), nil, broken),
			[]string{"body"}},
	} {
		v := newVerifier()
		v.BodyDigest = true
		req := postRequest(t, []byte("a"))
		if err := digestSigner().Sign(req, testTime); err != nil {
			t.Fatal(err)
		}
		if tt.again != nil {
			req.GetBody = tt.again
		}
		e, err := mac.ExplainAt(req, &mac.Key{Secret: testCreds.Key}, v, testTime)
		if err != nil || !e.Matches || !slices.Equal(e.Causes, tt.causes) {
			t.Errorf("%s: %v, %v; want %q", tt.reason, e, err, tt.causes)
		}
		if body, err := io.ReadAll(req.Body); err != nil || string(body) != "a" {
			t.Errorf("%s: the body is %q now, %v", tt.reason, body, err)
		}
	}
}
