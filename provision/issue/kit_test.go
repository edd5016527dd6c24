package issue_test

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"encoding/base64"
	"hash"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"
)

// direct is a network without sockets: it calls the handler in the client's goroutine.
type direct struct{ http.Handler }

func (d direct) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		defer req.Body.Close()
	}
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	in := req.Clone(req.Context())
	in.RequestURI = req.URL.RequestURI()
	in.RemoteAddr = "192.0.2.1:1234"
	if in.Host == "" {
		in.Host = req.URL.Host
	}
	if req.URL.Scheme == "https" {
		in.TLS = new(tls.ConnectionState)
	}
	w := httptest.NewRecorder()
	d.ServeHTTP(w, in)
	resp := w.Result()
	if _, ok := resp.Header["Date"]; !ok {
		resp.Header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	}
	resp.Request = req
	return resp, nil
}

func handlerFunc(f func(http.ResponseWriter, *http.Request)) *http.Client {
	return &http.Client{Transport: direct{http.HandlerFunc(f)}}
}

func digest(name string) func() hash.Hash {
	return map[string]func() hash.Hash{
		"": sha256.New, "sha1": sha1.New, "sha256": sha256.New, "sha512": sha512.New,
	}[name]
}

// sign makes an id in a second way, step by step, so that payloads that the Issuer never writes can
// have a genuine tag.
func sign(t testing.TB, secret, hash string, payload []byte) string {
	t.Helper()
	m := hmac.New(digest(hash), signingKey(t, secret, hash))
	m.Write(payload)
	return base64.URLEncoding.EncodeToString(m.Sum(slices.Clip(payload)))
}

func signingKey(t testing.TB, secret, hash string) []byte {
	t.Helper()
	size := digest(hash)().Size()
	key, err := hkdf.Key(digest(hash), []byte(secret), make([]byte, size),
		"services.mozilla.com/tokenlib/v1/signing", size)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
