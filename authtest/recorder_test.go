package authtest_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/countersign-go/countersign"
	"github.com/countersign-go/countersign/authtest"
	"github.com/countersign-go/countersign/bearer"
	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/mac"
)

// roundTripper is a function that acts as a network.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// Answers to equal requests are replayed in their order, each once. Answers to different requests
// can be replayed in any order. A body may have any bytes.
func TestRecorder(t *testing.T) {
	file := filepath.Join(t.TempDir(), "answers.json")
	s := authtest.NewService(t)
	n := byte('0')
	s.Handler = http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		n++
		w.Header().Set("Content-Type", "text/x-test")
		w.Header().Set("X-Not-Kept", "1")
		w.WriteHeader(http.StatusAccepted)
		_, _ = w.Write(append(body, n, 0xff)[:len(body)+1+int(n&1)])
	})
	send := func(base http.RoundTripper, body string) (string, error) {
		client := countersign.NewClient(countersign.Config{
			Signer: &mac.Signer{Source: s.Provisioner()}, Base: base,
		})
		var r io.Reader
		if body != "" {
			r = strings.NewReader(body)
		}
		resp, err := client.Post(page+"#fragment", "text/plain", r)
		if err != nil {
			return "", err
		}
		got, err := io.ReadAll(resp.Body)
		if resp.StatusCode != 202 || resp.Header.Get("Content-Type") != "text/x-test" {
			t.Errorf("%d, %v", resp.StatusCode, resp.Header)
		}
		return string(got), err
	}
	record := &authtest.Recorder{File: file, Base: s}
	bodies := []string{"a", "", "a", "b"}
	var want []string
	for _, body := range bodies {
		got, err := send(record, body)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(got, body) || len(got) == len(body) {
			t.Errorf("%q was answered by %q", body, got)
		}
		want = append(want, got)
	}
	replay := &authtest.Recorder{File: file}
	for _, i := range []int{3, 0, 1, 2} {
		if got, err := send(replay, bodies[i]); got != want[i] || err != nil {
			t.Errorf("%d: got %q, %v, want %q", i, got, err, want[i])
		}
	}
	for _, body := range []string{"a", "c"} {
		if _, err := send(replay, body); !errors.Is(err, authtest.ErrNotRecorded) {
			t.Errorf("a request too many: %v", err)
		}
	}
	for _, req := range []*http.Request{ // requests that differ in one part
		httptest.NewRequest("PUT", page, strings.NewReader("a")),
		httptest.NewRequest("POST", page+"1", strings.NewReader("a")),
		httptest.NewRequest("POST", page, strings.NewReader("aa")),
	} {
		_, err := (&authtest.Recorder{File: file}).RoundTrip(req)
		if !errors.Is(err, authtest.ErrNotRecorded) {
			t.Errorf("%s %s: %v", req.Method, req.URL, err)
		}
	}
	data, _ := os.ReadFile(file)
	for _, word := range []string{"MAC", "nonce", "X-Not-Kept", "fragment"} {
		if bytes.Contains(data, []byte(word)) {
			t.Errorf("the file holds %q", word)
		}
	}
}

// A record that holds a secret anywhere is not written.
func TestRecorderKeepsSecrets(t *testing.T) {
	const secret = "canary-0123abc"
	bearers := &bearer.Signer{Source: bearer.StaticToken(creds.Secret(secret))}
	for name, tt := range map[string]struct {
		url, cookie, setCookie, location, body string
	}{
		"a key of MAC":           {body: `{"id":"a","key":"canary-fedcba"}`},
		"a token":                {body: `[{"x":{"access_token":"canary-fedcba"}}]`},
		"its own token":          {body: "you sent " + secret},
		"its own token in a URL": {url: "?q=" + secret},
		"a parameter":            {url: "?API-Key=canary-fedcba"},
		"a Location":             {location: "/?token=canary-fedcba"},
		"the token in it":        {location: "/" + secret},
		"its own cookie":         {cookie: "canary-c00c1e", body: "canary-c00c1e"},
		"the service's":          {setCookie: "canary-c00c1e", body: "canary-c00c1e"},
	} {
		file := filepath.Join(t.TempDir(), "answers.json")
		client := countersign.NewClient(countersign.Config{
			Signer: bearers,
			Base: &authtest.Recorder{File: file, Base: roundTripper(
				func(req *http.Request) (*http.Response, error) {
					h := http.Header{}
					if tt.location != "" {
						h.Set("Location", tt.location)
					}
					if tt.setCookie != "" {
						h.Set("Set-Cookie", "c="+tt.setCookie)
					}
					return &http.Response{StatusCode: 200, Header: h,
						Body: io.NopCloser(strings.NewReader(tt.body))}, nil
				})},
		})
		req, _ := http.NewRequest("GET", "https://api.example.com/"+tt.url, nil)
		if tt.cookie != "" {
			req.Header.Set("Cookie", "c="+tt.cookie)
		}
		resp, err := client.Do(req)
		if !errors.Is(err, authtest.ErrSecret) {
			t.Errorf("%s: %v, %v", name, resp, err)
			continue
		}
		text := err.Error()
		if _, below, ok := strings.Cut(text, "authtest: "); ok {
			text = below // net/http writes the part before it, and repeats the URL there
		}
		if strings.Contains(text, "canary-") {
			t.Errorf("%s: the error repeats it", name)
		}
		if _, err := os.Stat(file); err == nil {
			t.Errorf("%s: something was written", name)
		}
	}
	for name, field := range map[string]string{
		"a password":      "Basic YWxpY2U6Y2FuYXJ5LWEwYTBhMA==", // alice:canary-a0a0a0
		"a MAC":           `MAC id="id", ts="1", nonce="a", mac="canary-a0a0a0"`,
		"no credentials":  `Own a=, canary-a0a0a0`,
		"without a space": "canary-a0a0a0",
		"no grammar":      `"Own "canary-a0a0a0 `,
	} {
		req, _ := http.NewRequest("GET", page, nil)
		req.Header.Set("Authorization", field)
		r := &authtest.Recorder{File: filepath.Join(t.TempDir(), "a"), Base: roundTripper(
			func(req *http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: 200,
					Body: io.NopCloser(strings.NewReader("you sent canary-a0a0a0"))}, nil
			})}
		if _, err := r.RoundTrip(req); !errors.Is(err, authtest.ErrSecret) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Bodies that only look like secrets are recorded.
	for _, body := range []string{
		`{"key":"home"}`, `{"token":""}`, `{"token":7}`, `"password"`, "key=a",
	} {
		r := &authtest.Recorder{File: filepath.Join(t.TempDir(), "a"), Base: roundTripper(
			func(req *http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: 200,
					Body: io.NopCloser(strings.NewReader(body))}, nil
			})}
		req, _ := http.NewRequest("GET", page, nil)
		if _, err := r.RoundTrip(req); err != nil {
			t.Errorf("%s: %v", body, err)
		}
	}
}

// Secrets that a search for the usual spelling alone would miss.
func TestRecorderFindsSecrets(t *testing.T) {
	const secret = "canary/0123+abc<"
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	_, _ = w.Write([]byte(`{"access_token":"canary-fedcba"}`))
	_ = w.Close()
	fields := func(pairs ...string) http.Header {
		h := http.Header{}
		for i := 0; i < len(pairs); i += 2 {
			h.Set(pairs[i], pairs[i+1])
		}
		return h
	}
	for name, tt := range map[string]struct {
		url          string
		sent, answer http.Header
		body         string
	}{
		"compressed":           {answer: fields("Content-Encoding", "gzip"), body: zipped.String()},
		"behind a semicolon":   {url: "?token=canary-a;x=1"},
		"a semicolon in front": {url: "?x=1;token=canary-a"},
		"beside an escape":     {url: "?x=%zz&token=%zz"},
		"Location malformed":   {answer: fields("Location", "http://[/?token=canary-a")},
		"Location, fragment":   {answer: fields("Location", "/#access_token=canary-a")},
		"Location, its route":  {answer: fields("Location", "/#/done?access_token=canary-a")},
		"camel case":           {body: `{"accessToken":"canary-a"}`},
		"camel case, another":  {body: `{"refreshToken":"canary-a"}`},
		"a form":               {body: "x=1&access_token=canary-a"},
		"a form that says so": {answer: fields("Content-Type",
			"application/x-www-form-urlencoded; charset=utf-8"), body: "a=b c\n&token=canary-a"},
		"credentials in a form": {body: "id=a&key=canary-a"},
		"behind a BOM":          {body: "\ufeff" + `{"token":"canary-a"}`},
		"the second value":      {body: "{}\n" + `{"token":"canary-a"}`},
		"X-Token":               {sent: fields("X-Token", secret), body: secret},
		"X-Api-Key":             {sent: fields("X-Api-Key", "Key "+secret), body: secret},
		"for the proxy":         {sent: fields("Proxy-Authorization", "Own "+secret), body: secret},
		"password for it": {sent: fields("Proxy-Authorization",
			"Basic YWxpY2U6Y2FuYXJ5LWEwYTBhMA=="), body: "canary-a0a0a0"},
		"a cookie without a name": {sent: fields("Cookie", secret), body: secret},
		"a quoted cookie":         {sent: fields("Cookie", `a="`+secret+`"`), body: secret},
		"a quoted new one": {
			answer: fields("Set-Cookie", `a="`+secret+`"; Path=/`), body: secret,
		},
		"in a query": {
			sent: fields("X-Token", secret), url: "?a=" + url.QueryEscape(secret),
		},
		"escaped too much": {sent: fields("X-Token", "canary-abc"), url: "?a=c%61nary-abc"},
		"in a link":        {sent: fields("X-Token", secret), body: url.QueryEscape(secret)},
		"in HTML": {
			sent: fields("X-Token", secret), body: html.EscapeString(secret),
		},
		"in JSON": {
			sent: fields("X-Token", secret), body: `"canary/0123+abc\u003c"`,
		},
		"in base64": {sent: fields("X-Token", secret),
			body: base64.StdEncoding.EncodeToString([]byte(secret))},
		"in a Location": {sent: fields("X-Token", secret),
			answer: fields("Location", "/"+url.PathEscape(secret))},
		"in a challenge": {sent: fields("X-Token", secret),
			answer: fields("Www-Authenticate", `Own a="`+secret+`"`)},
	} {
		req, _ := http.NewRequest("GET", "https://api.example.com/"+tt.url, nil)
		req.Header = tt.sent
		file := filepath.Join(t.TempDir(), "a")
		r := &authtest.Recorder{File: file, Base: roundTripper(
			func(*http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: 200, Header: tt.answer,
					Body: io.NopCloser(strings.NewReader(tt.body))}, nil
			})}
		_, err := r.RoundTrip(req)
		if !errors.Is(err, authtest.ErrSecret) || strings.Contains(err.Error(), "canary-") {
			t.Errorf("%s: not an ErrSecret without the secret", name)
		}
		if _, err := os.Stat(file); err == nil {
			t.Errorf("%s: something was written", name)
		}
	}
	// A service may repeat values that are not secret.
	req, _ := http.NewRequest("GET", page, nil)
	req.Header = fields("User-Agent", "bot/1.0.0.0", "X-Request-Id", "0123456789",
		"If-None-Match", `"0123456789"`, "X-Forwarded-Host", "api.example.com")
	r := &authtest.Recorder{File: filepath.Join(t.TempDir(), "a"), Base: roundTripper(
		func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(
				`bot/1.0.0.0 0123456789 "0123456789" api.example.com`))}, nil
		})}
	if _, err := r.RoundTrip(req); err != nil {
		t.Error(err)
	}
}

// Bodies that are too long or broken, a base that fails, and files that are not recordings.
func TestRecorderErrors(t *testing.T) {
	broken := errors.New("broken")
	answer := func(body io.Reader, err error) http.RoundTripper {
		return roundTripper(func(*http.Request) (*http.Response, error) {
			if err != nil {
				return nil, err
			}
			return &http.Response{StatusCode: 200, Body: io.NopCloser(body)}, nil
		})
	}
	dir := t.TempDir()
	damaged := filepath.Join(dir, "damaged")
	if err := os.WriteFile(damaged, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	sub := filepath.Join(dir, "sub")
	if err := os.Mkdir(sub, 0o700); err != nil {
		t.Fatal(err)
	}
	long := func() io.Reader { return io.LimitReader(zeros{}, 1<<20+1) }
	for name, tt := range map[string]struct {
		recorder *authtest.Recorder
		body     io.Reader
		want     string
	}{
		"long request": {&authtest.Recorder{File: damaged}, long(), "too long"},
		"broken one":   {&authtest.Recorder{File: damaged}, failing{broken}, "broken"},
		"long answer": {&authtest.Recorder{File: filepath.Join(dir, "a"),
			Base: answer(long(), nil)}, nil, "too long"},
		"no answer": {&authtest.Recorder{File: filepath.Join(dir, "a"),
			Base: answer(nil, broken)}, nil, "broken"},
		"no folder": {&authtest.Recorder{File: filepath.Join(dir, "b", "a"),
			Base: answer(strings.NewReader(""), nil)}, nil, "recording: "},
		"a folder": {&authtest.Recorder{File: sub,
			Base: answer(strings.NewReader(""), nil)}, nil, "recording: "},
		"no file":      {&authtest.Recorder{File: filepath.Join(dir, "c")}, nil, "replaying: "},
		"damaged file": {&authtest.Recorder{File: damaged}, nil, "replaying: "},
	} {
		req, _ := http.NewRequest("POST", page, tt.body)
		resp, err := tt.recorder.RoundTrip(req)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, %v; want %s", name, resp, err, tt.want)
		}
	}
	if _, err := new(authtest.Recorder).RoundTrip(new(http.Request)); err == nil {
		t.Error("a request without a URL was answered")
	}
	left, _ := filepath.Glob(filepath.Join(dir, "*.*"))
	if len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	user, _ := http.NewRequest("GET", "https://canary-a:canary-b@api.example.com/", nil)
	_, err := (&authtest.Recorder{Base: answer(nil, broken)}).RoundTrip(user)
	if !errors.Is(err, authtest.ErrSecret) {
		t.Errorf("a URL with a user: %v", err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }
