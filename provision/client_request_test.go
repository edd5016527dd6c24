package provision_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-go/countersign/mac"
	"github.com/countersign-go/countersign/provision"
	"github.com/countersign-go/countersign/transport"
)

// Method, header and body are taken from the fields, and each attempt has them whole.
func TestRequestIsSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		header := http.Header{"Content-Type": {"application/json"}, "X-Client": {"bot"}}
		var got []string
		bodies := 0
		c := &provision.Client{
			URL: endpoint, Method: "PUT", Header: header,
			Body: func(context.Context) ([]byte, error) {
				bodies++
				return fmt.Appendf(nil, `{"assertion":%d}`, bodies), nil
			},
			Signer: &mac.Signer{Source: &mac.Credentials{ID: "older", Key: []byte("k")}},
			HTTP: handlerFunc(func(w http.ResponseWriter, req *http.Request) {
				body, _ := io.ReadAll(req.Body)
				h := req.Header
				got = append(got, fmt.Sprint(req.Method, " ", req.URL.Path, " ", string(body), " ",
					h.Get("Content-Type"), " ", h.Get("X-Client"), " ", h.Get("Accept"), " ",
					strings.HasPrefix(h.Get("Authorization"), "MAC ")))
				there := time.Now().Add(time.Hour)
				w.Header().Set("Date", there.UTC().Format(http.TimeFormat))
				switch len(got) {
				case 1:
					w.WriteHeader(401) // the clock is wrong
				case 2:
					http.Redirect(w, req, "/moved", http.StatusTemporaryRedirect)
				default:
					_, _ = io.WriteString(w, `{"id":"a","key":"k","expires_in":60}`)
				}
			}),
		}
		wantID(t, c, "a")
		const rest = ` {"assertion":1} application/json bot application/json true`
		for i, want := range []string{"PUT /provision", "PUT /provision", "PUT /moved"} {
			if i >= len(got) || got[i] != want+rest {
				t.Fatalf("got %q", got)
			}
		}
		time.Sleep(time.Minute)
		wantID(t, c, "a")
		if len(got) != 4 || !strings.Contains(got[3], `{"assertion":2}`) {
			t.Errorf("the body of the second call: %q", got)
		}
		if len(header) != 2 {
			t.Errorf("the caller's header was changed: %v", header)
		}
	})
}

// Some services want a GET, or another Accept.
func TestRequestGET(t *testing.T) {
	c := &provision.Client{
		URL: endpoint, Method: "GET", Header: http.Header{"Accept": {"application/vnd.key+json"}},
		HTTP: handlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if req.Method != "GET" || req.ContentLength != 0 ||
				fmt.Sprint(req.Header["Accept"]) != "[application/vnd.key+json]" {
				t.Errorf("%s, %d, %v", req.Method, req.ContentLength, req.Header)
			}
			_, _ = io.WriteString(w, `{"id":"a","key":"k"}`)
		})}
	wantID(t, c, "a")
}

// A call that is not possible is not made, and the error names the field.
func TestRequestFails(t *testing.T) {
	down := errors.New("no assertion to be had")
	fails := func(context.Context) ([]byte, error) { return nil, down }
	authorization := http.Header{"Authorization": {"Bearer hunter2"}}
	for want, c := range map[string]*provision.Client{
		"provision: Client.Method":         {Method: "no method"},
		"provision: Client.Body":           {Body: fails},
		transport.ErrAuthorization.Error(): {Signer: ann(), Header: authorization},
	} {
		c.URL, c.HTTP = endpoint, handlerFunc(func(http.ResponseWriter, *http.Request) {
			t.Errorf("%s: a request was sent", want)
		})
		_, err := c.Credentials(t.Context())
		if !strings.Contains(text(err), want) || strings.Contains(text(err), "hunter2") {
			t.Errorf("%v, want %q", err, want)
		}
		if c.Body != nil && !errors.Is(err, down) {
			t.Errorf("the cause is lost: %v", err)
		}
	}
	// Without a Signer, the caller's own Authorization goes out.
	sent := ""
	c := &provision.Client{URL: endpoint, Header: authorization, HTTP: handlerFunc(
		func(w http.ResponseWriter, req *http.Request) {
			sent = req.Header.Get("Authorization")
			_, _ = io.WriteString(w, `{"id":"a","key":"k"}`)
		})}
	wantID(t, c, "a")
	if sent != "Bearer hunter2" {
		t.Errorf("sent %q", sent)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		if out := fmt.Sprintf(verb, c); shows(out, "hunter2") {
			t.Errorf("%s: %s", verb, out)
		}
	}
}

// With any of three fields and with any status, the server can ask for a pause.
func TestBackoffFields(t *testing.T) {
	for _, field := range []string{"Retry-After", "X-Backoff", "Backoff"} {
		synctest.Test(t, func(t *testing.T) {
			sent := 0
			c := &provision.Client{URL: endpoint, HTTP: handlerFunc(
				func(w http.ResponseWriter, _ *http.Request) {
					sent++
					w.Header()[field] = []string{"120"}
					w.WriteHeader(503)
				})}
			for range 3600 {
				if _, err := c.Credentials(t.Context()); err == nil {
					t.Fatal("no error")
				}
				time.Sleep(time.Second)
			}
			if sent > 30 || sent < 10 {
				t.Errorf("%s: %d requests", field, sent)
			}
		})
	}
}

// After an answer that asks for a pause, credentials are not renewed early, and no call fails for
// that. When they have ended, the Client asks.
func TestBackoffOnSuccess(t *testing.T) {
	for field, want := range map[string]time.Duration{
		"":          4 * time.Minute, // the window opens
		"X-Backoff": 5 * time.Minute, // the end
	} {
		synctest.Test(t, func(t *testing.T) {
			m := &mint{lifetime: 5 * time.Minute}
			c := &provision.Client{URL: endpoint, HTTP: handlerFunc(
				func(w http.ResponseWriter, req *http.Request) {
					w.Header()[field] = []string{"9999"}
					m.ServeHTTP(w, req)
				})}
			start, asked := time.Now(), ""
			for m.called() < 2 {
				asked += text(c.Err())
				if _, err := c.Credentials(t.Context()); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Second)
			}
			if took := time.Since(start); took < want || took > want+40*time.Second {
				t.Errorf("%q: asked again after %v, want %v", field, took, want)
			}
			if peace := strings.Contains(asked, "asked to be left alone"); peace != (field != "") {
				t.Errorf("%q: Err was %q", field, asked)
			}
		})
	}
}
