package mac_test

import (
	"bufio"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/countersign-go/countersign/mac"
)

// This is the grammar of the package comment as a regular expression. It is slow, and correct by
// inspection.
var (
	slowParam  = `(?:id|ts|nonce|ext|mac)=(?:"[ !#-\[\]-~]*"|[A-Za-z0-9_-]+)`
	slowHeader = regexp.MustCompile(
		`^MAC[ \t]+` + slowParam + `(?:[ \t]*,[ \t]*` + slowParam + `)*\z`)
	slowEach = regexp.MustCompile(`(id|ts|nonce|ext|mac)=(?:"([^"]*)"|([A-Za-z0-9_-]+))`)
	slowTS   = regexp.MustCompile(`^[1-9][0-9]{0,14}\z`)
	slowMAC  = regexp.MustCompile(
		`^(?:[A-Za-z0-9+/]{26}|[A-Za-z0-9+/]{42})[AEIMQUYcgkosw048]=\z`)
)

// slowParse is a second parser, written in another way.
func slowParse(line string) (map[string]string, bool) {
	if !slowHeader.MatchString(line) {
		return nil, false
	}
	p := map[string]string{}
	for _, m := range slowEach.FindAllStringSubmatch(line, -1) {
		if _, twice := p[m[1]]; twice {
			return nil, false
		}
		p[m[1]] = m[2] + m[3]
	}
	if p["id"] == "" || p["nonce"] == "" || len(p["nonce"]) > 128 ||
		!slowTS.MatchString(p["ts"]) || !slowMAC.MatchString(p["mac"]) {
		return nil, false
	}
	if p["ext"] == "" {
		delete(p, "ext")
	}
	return p, true
}

func FuzzHeader(f *testing.F) {
	var file struct{ Cases []struct{ Header *string } }
	load(f, "authz_header.json", &file)
	for _, c := range file.Cases {
		if c.Header != nil {
			f.Add(latin1(*c.Header))
		}
	}
	var vectors macFile
	load(f, "mac.json", &vectors)
	for _, v := range vectors.Vectors {
		f.Add(v.Header)
	}
	f.Fuzz(func(t *testing.T, line string) {
		text, p, err := mac.Reprint(line)
		slow, ok := slowParse(line)
		if ok != (err == nil) || ok && !equal(p, slow) {
			t.Fatalf("%q is read as %v, %v; by the slow parser as %v, %t", line, p, err, slow, ok)
		}
		if err != nil {
			return
		}
		again, p2, err := mac.Reprint(text)
		if err != nil || again != text || !equal(p, p2) {
			t.Errorf("%q prints as %q, and that as %q, %v", line, text, again, err)
		}
	})
}

func FuzzBaseString(f *testing.F) {
	var vectors macFile
	load(f, "mac.json", &vectors)
	for _, v := range vectors.Vectors {
		u, err := url.Parse(v.URL)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(v.Method, u.Scheme, v.Host, "", u.Path, u.RawPath, u.RawQuery, u.ForceQuery, v.Ext)
	}
	f.Add("GET", "http", "a", "//b/c", "", "", "", false, "")
	f.Add("GET", "http", "a", "/b?c", "", "", "d", true, "")
	f.Add("CONNECT", "https", "[fe80::1%25x]:1", "", "", "", "", false, "")
	f.Fuzz(func(t *testing.T, method, scheme, host, opaque, path, rawPath, query string,
		ask bool, ext string) {
		u := &url.URL{Scheme: scheme, Host: host, Opaque: opaque, Path: path, RawPath: rawPath,
			RawQuery: query, ForceQuery: ask}
		req := &http.Request{Method: method, URL: u, Header: http.Header{}}
		text, err := mac.BaseString(req, mac.Draft01, "1", "n", ext)
		if err != nil {
			return
		}
		lines := strings.Split(text, "\n")
		if len(lines) != 8 || lines[3] != u.RequestURI() || lines[6] != ext || lines[7] != "" {
			t.Fatalf("%q", text)
		}
		// A server reads the request that net/http writes, and must sign it in the same way.
		var wire strings.Builder
		if err := req.Write(&wire); err != nil {
			t.Fatalf("%q was signed and cannot be sent: %v", text, err)
		}
		got, err := http.ReadRequest(bufio.NewReader(strings.NewReader(wire.String())))
		if err != nil {
			return // for example, an odd method
		}
		got.TLS = received(&http.Request{URL: &url.URL{Scheme: scheme}}).TLS
		for _, d := range []mac.Dialect{mac.Draft01, mac.WebOb} {
			sent, sentErr := mac.BaseString(req, d, "1", "n", ext)
			read, readErr := mac.BaseString(got, d, "1", "n", ext)
			if sent != read || (sentErr == nil) != (readErr == nil) {
				t.Errorf("dialect %d: sent %q, %v; read %q, %v", d, sent, sentErr, read, readErr)
			}
		}
		c := &mac.Credentials{ID: "i", Key: []byte("k")}
		for _, d := range []mac.Dialect{mac.Draft01, mac.WebOb, mac.Django} {
			s := &mac.Signer{Source: c, Dialect: d}
			_ = s.Sign(req.Clone(t.Context()), testTime) // must not panic
		}
	})
}

func FuzzChallenge(f *testing.F) {
	for _, line := range []string{"MAC", `MAC error="stale", ts="1336363200"`, `MAC error="nonce"`,
		`MAC error="MAC credentials expired"`, `Basic realm="x", MAC error="invalid"`,
		"Negotiate YQ==", "MAC ,,", "\x00"} {
		f.Add(line, line)
	}
	f.Fuzz(func(t *testing.T, one, two string) {
		resp := &http.Response{Header: http.Header{"Www-Authenticate": {one, two}}}
		got := new(mac.Signer).Read(resp)
		switch got.Cause {
		case "stale":
			at := got.ServerTime.Unix()
			if !got.ServerTime.IsZero() && (at < 1 || at >= 1e15) {
				t.Errorf("time %v", got.ServerTime)
			}
		case "", "unknown", "nonce", "credential":
			if !got.ServerTime.IsZero() {
				t.Errorf("%q with the time %v", got.Cause, got.ServerTime)
			}
		default:
			t.Errorf("cause %q", got.Cause)
		}
		ours := strings.Contains(strings.ToLower(one+two), "mac")
		if got.Cause != "" && got.Cause != "unknown" && !ours {
			t.Errorf("%q, %q: %q of no challenge of ours", one, two, got.Cause)
		}
	})
}
