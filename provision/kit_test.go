package provision_test

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/basic"
	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/portal"
	"github.com/countersign-go/countersign/provision/issue"
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

// says is an endpoint that always gives the same answer.
func says(status int, body string, header ...string) *http.Client {
	return handlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header()[header[i]] = []string{header[i+1]}
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	})
}

const password = "hunter2hunter2"

func users() auth.Authenticator {
	return basic.Verifier{
		Realm: "demo",
		Users: portal.Memory{"ann": creds.Secret(password)},
	}
}

func testIssuer() *issue.Issuer {
	return &issue.Issuer{Secrets: []creds.Secret{creds.Secret("a master secret for tests only")}}
}

// shows reports whether text contains a secret in any of the forms that package fmt has for it.
func shows(out, secret string) bool {
	return strings.Contains(out, secret) || strings.Contains(out, fmt.Sprintf("%x", secret)) ||
		strings.Contains(out, strings.Trim(fmt.Sprint([]byte(secret)), "[]"))
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
