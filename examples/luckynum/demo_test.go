package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/portal"
)

// The printed steps are the requests that the services have seen, by their own counters and by the
// network's.
func TestDemoTellsWhatServicesCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m machine
		began := time.Now()
		r := m.run(t)
		if r.status != 0 || r.stderr != "" {
			t.Fatalf("status %d, %s", r.status, r.stderr)
		}
		if took := time.Since(began); took > 7*time.Second {
			t.Errorf("the demo takes %s", took)
		}
		plays := strings.Split(r.stdout, "\n\n")
		plays = plays[1 : len(plays)-1] // without the introduction and the end
		if len(plays) != len(scenes()) || len(m.network.sites) != len(plays) {
			t.Fatalf("%d scenes are told, and %d had a service", len(plays), len(m.network.sites))
		}
		for i, play := range plays {
			compare(t, play, m.network.sites[i].asked)
		}
	})
}

// compare checks the printed steps of one scene against the requests in asked.
func compare(t *testing.T, play string, asked map[string]int) {
	t.Helper()
	var keys, answered, stale, credential, numbers int
	var printed string
	for _, line := range strings.Split(play, "\n")[2:] {
		name, text := strings.TrimSpace(line[:20]), line[20:]
		switch {
		case name == counted:
			printed = text
		case name == provisioned, name == keyRenewed:
			keys++
		case name == number:
			numbers++
		case name != signed:
		case strings.Contains(text, ": 200"):
			answered++
		case strings.Contains(text, ": 401 stale"):
			stale++
		case strings.Contains(text, ": 401 credential"):
			credential++
		default:
			t.Errorf("a step without a caption: %s", line)
		}
	}
	var issued, let, old, expired, invalid int
	if _, err := fmt.Sscanf(printed, "issued %d, answered %d, stale %d, expired %d, invalid %d",
		&issued, &let, &old, &expired, &invalid); err != nil {
		t.Errorf("the service's counters are %q: %v", printed, err)
	}
	if keys != issued || answered != let || stale != old || credential != expired+invalid {
		t.Errorf("the steps differ from the counts of the service:\n%s", play)
	}
	if keys != asked["POST /provision 200"] || answered != asked["GET / 200"] ||
		stale+credential != asked["GET / 401"] || len(asked) > 3 {
		t.Errorf("the steps differ from the traffic, %v:\n%s", asked, play)
	}
	if numbers != answered || keys == 0 {
		t.Errorf("%d numbers for %d answers with %d keys:\n%s", numbers, answered, keys, play)
	}
}

// A new user sees this output. In a bubble, it is always the first day of the year 2000.
func TestDemoOutput(t *testing.T) {
	want, err := os.ReadFile("testdata/demo.txt")
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		var m machine
		got := strings.Split(m.run(t).stdout, "\n")
		for i, line := range strings.Split(strings.ReplaceAll(string(want), "\r\n", "\n"), "\n") {
			if i >= len(got) || got[i] != line {
				t.Fatalf("line %d is not %q in\n%s", i+1, line, strings.Join(got, "\n"))
			}
		}
	})
}

func TestDemoFails(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	new(machine).runContext(t, ended).fails(t, "Ctrl-C", "context canceled")

	var stderr strings.Builder
	p := &program{
		stdout: new(strings.Builder), stderr: &stderr, getenv: func(string) string { return "" },
		host: func(http.Handler) (*url.URL, func(), error) {
			return nil, nil, errors.New("no port is free")
		},
	}
	synctest.Test(t, func(t *testing.T) {
		result{status: p.run(t.Context(), nil), stderr: stderr.String()}.
			fails(t, "no port", "no port is free")
	})
}

func TestHostLoopback(t *testing.T) {
	at, stop, err := hostLoopback(http.NotFoundHandler())
	if err != nil {
		t.Fatal(err)
	}
	if at.Hostname() != "127.0.0.1" {
		t.Errorf("others can reach %s", at)
	}
	tr := new(http.Transport)
	defer tr.CloseIdleConnections()
	req := &http.Request{Method: http.MethodGet, URL: at, Header: http.Header{}}
	resp, err := tr.RoundTrip(req)
	if err != nil || resp.StatusCode != http.StatusNotFound {
		t.Fatalf("%v, %v", resp, err)
	}
	_ = resp.Body.Close()
	stop()
	if _, err := tr.RoundTrip(req); err == nil {
		t.Error("it is still there")
	}
}

// A scene that ends differently is an error, so that the demo also tests the library.
func TestSceneMustEndAsItSays(t *testing.T) {
	elsewhere := &url.URL{Scheme: "https", Host: "lucky.example.com"}
	for _, tt := range []struct {
		reason string
		scene  scene
	}{
		{"refused where it should not be", scene{service: &service{publicURL: elsewhere}}},
		{"answered where it should not be", scene{service: &service{}, hopeless: true}},
	} {
		synctest.Test(t, func(t *testing.T) {
			var n network
			password := creds.Secret("canary-5ce4e0")
			tt.scene.pauses = []time.Duration{0}
			tt.scene.service.users = portal.Memory{"demo": password}
			at, _, _ := n.host(tt.scene.service.handler())
			time.Sleep(time.Second)
			c := newClient(at, &n, &steps{w: new(strings.Builder)})
			c.signWith(c.keysFor("demo", password))
			if err := tt.scene.play(t.Context(), c); err == nil {
				t.Errorf("%s: no error", tt.reason)
			}
		})
	}
}
