package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

// A network works without sockets, inside a synctest bubble. It counts the requests, independently
// of a service's counters.
type network struct {
	sites []*site
}

// A site is a handler in a network.
type site struct {
	handler http.Handler
	asked   map[string]int // by request line and status, like "GET / 200"
}

func (n *network) host(h http.Handler) (at *url.URL, stop func(), err error) {
	n.sites = append(n.sites, &site{h, map[string]int{}})
	return &url.URL{Scheme: "http", Host: fmt.Sprintf("127.0.0.1:%d", len(n.sites)), Path: "/"},
		func() {}, nil
}

// RoundTrip passes req to a site as net/http would. As with net/http, answers have a Date.
func (n *network) RoundTrip(req *http.Request) (*http.Response, error) {
	for i, s := range n.sites {
		if req.URL.Host != fmt.Sprintf("127.0.0.1:%d", i+1) {
			continue
		}
		time.Sleep(time.Millisecond) // synctest time: the latency of the network
		in := httptest.NewRequest(req.Method, req.URL.RequestURI(), req.Body).
			WithContext(req.Context())
		in.Host, in.Header = req.URL.Host, req.Header.Clone()
		w := httptest.NewRecorder()
		s.handler.ServeHTTP(w, in)
		resp := w.Result()
		resp.Request = req
		if resp.Header.Get("Date") == "" {
			resp.Header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
		}
		s.asked[fmt.Sprintf("%s %s %d", req.Method, req.URL.Path, resp.StatusCode)]++
		return resp, nil
	}
	return nil, &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
}

// A result is the exit status and the output of a run of the program.
type result struct {
	status         int
	stdout, stderr string
}

// A machine runs the program. The zero value has no network, no environment, no input and no folder
// for settings.
type machine struct {
	network network
	config  string
	stdin   string
	environ map[string]string
}

func (m *machine) run(t *testing.T, args ...string) result {
	t.Helper()
	return m.runContext(t, t.Context(), args...)
}

func (m *machine) configDir() (string, error) {
	if m.config == "" {
		return "", errors.New("$HOME is not defined")
	}
	return m.config, nil
}

// runContext runs the program with args. It fails the test if the program prints a planted secret.
func (m *machine) runContext(t *testing.T, ctx context.Context, args ...string) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	p := &program{
		stdin: strings.NewReader(m.stdin), stdout: &stdout, stderr: &stderr,
		getenv: func(name string) string { return m.environ[name] },
		base:   &m.network, host: m.network.host, configDir: m.configDir,
	}
	r := result{p.run(ctx, args), stdout.String(), stderr.String()}
	if strings.Contains(r.stdout+r.stderr, "canary-") {
		t.Errorf("luckynum %s prints a secret", strings.Join(args, " "))
	}
	return r
}

// fails checks that the program has failed with one line on standard error that contains text.
func (r result) fails(t *testing.T, reason, text string) {
	t.Helper()
	line, more, _ := strings.Cut(r.stderr, "\n")
	if r.status != 1 || more != "" || !strings.HasPrefix(line, "luckynum: ") ||
		!strings.Contains(line, text) {
		t.Errorf("%s: status %d, %q; want 1 and a line with %q", reason, r.status, r.stderr, text)
	}
}
