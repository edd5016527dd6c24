package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-go/countersign/creds/file"
	"github.com/countersign-go/countersign/provision/issue"
)

// asAnn returns the flags that make a command run as ann.
func asAnn(t *testing.T) []string {
	t.Helper()
	return []string{"--user", "ann", "--password-file", writeFile(t, t.TempDir(), annPassword)}
}

// only returns the entry of a user's one key.
func only(t *testing.T, s *service, user string) issue.Entry {
	t.Helper()
	entries, err := s.registry.List(t.Context(), user)
	if err != nil || len(entries) != 1 {
		t.Fatalf("%s has %d keys, %v", user, len(entries), err)
	}
	return entries[0]
}

func TestList(t *testing.T) {
	const head = "ID                CREATED               EXPIRES\n"
	synctest.Test(t, func(t *testing.T) {
		s := &service{registry: new(issue.Registry)}
		m := serving(t, s)
		m.run(t, "list", at).prints(t, "none yet", "no credentials\n")
		m.run(t, append(append([]string{"get"}, asAnn(t)...), at)...).prints(t, "ann", helloAnn)
		m.run(t, "get", at).prints(t, "demo", hello)

		e := only(t, s, "demo")
		want := head + e.ID + "  2000-01-01T00:00:01Z  2000-01-02T00:00:01Z\n"
		r := m.run(t, "list", at)
		r.prints(t, "one's own", want)
		key, err := s.registry.Key(t.Context(), e.ID)
		if err != nil || strings.Contains(r.stdout+r.stderr, string(key.Secret)) {
			t.Errorf("the key is printed, or there is none: %v", err)
		}
		r = m.run(t, append(append([]string{"list"}, asAnn(t)...), at)...)
		if !strings.Contains(r.stdout, only(t, s, "ann").ID) || strings.Contains(r.stdout, e.ID) {
			t.Errorf("ann sees %s", r.stdout)
		}
	})
}

// The page has three members for each key, and no others.
func TestListAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &service{registry: new(issue.Registry)}
		m := serving(t, s)
		m.run(t, "get", at).prints(t, "demo", hello)
		req := httptest.NewRequest("GET", "/credentials", http.NoBody)
		req.SetBasicAuth("demo", demoPassword)
		w := httptest.NewRecorder()
		m.network.sites[0].handler.ServeHTTP(w, req)
		var got []map[string]any
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || len(got) != 1 {
			t.Fatalf("%d, %s, %v", w.Code, w.Body, err)
		}
		if len(got[0]) != 3 || got[0]["id"] != only(t, s, "demo").ID || got[0]["created"] == nil ||
			got[0]["expires"] == nil {
			t.Errorf("got %v", got)
		}
		if h := w.Header().Get("Cache-Control"); h != "no-store" {
			t.Errorf("Cache-Control: %q", h)
		}
	})
}

// A revoked key is refused at once. A client that has stored it gets another one by itself, and
// needs no further steps at the next start.
func TestRevoke(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &service{registry: new(issue.Registry)}
		m := serving(t, s)
		m.run(t, "get", at).prints(t, "demo", hello)
		old := only(t, s, "demo").ID
		m.run(t, "revoke", "--", old, at).prints(t, "one's own", "Revoked "+old+".\n")
		m.run(t, "revoke", "--", old, at).fails(t, "once more", "no such credential")

		time.Sleep(10 * time.Second) // the key is no longer new
		r := m.run(t, "get", "--history", at)
		r.prints(t, "mended", hello)
		const want = `   signed           GET / with MAC: 401 credential
   provisioned      POST /provision with Basic: 200
   signed           GET / with MAC: 200
`
		if r.stderr != want {
			t.Errorf("got\n%swant\n%s", r.stderr, want)
		}
		if fresh := only(t, s, "demo").ID; fresh == old {
			t.Error("the key has come back")
		}
		m.run(t, "get", at).prints(t, "warm again", hello)
		if got := s.String(); got != "issued 2, answered 3, stale 0, expired 0, invalid 1" {
			t.Errorf("the service has counted: %s", got)
		}
	})
}

// A user can neither revoke another user's key nor learn that it exists.
func TestRevokeOfOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &service{registry: new(issue.Registry)}
		m := serving(t, s)
		ann := asAnn(t)
		m.run(t, append(append([]string{"get"}, ann...), at)...).prints(t, "ann", helloAnn)
		m.run(t, "get", at).prints(t, "demo", hello)
		e := only(t, s, "ann")
		theirs := m.run(t, "revoke", "--", e.ID, at)
		theirs.fails(t, "of ann", "no such credential")
		if none := m.run(t, "revoke", "none", at); none != theirs {
			t.Errorf("a key of others looks different: %v, %v", theirs, none)
		}
		if got := only(t, s, "ann"); got != e {
			t.Errorf("ann has %v now", got)
		}
		m.run(t, append(append([]string{"revoke"}, ann...), "--", e.ID, at)...).
			prints(t, "by ann", "Revoked "+e.ID+".\n")
		only(t, s, "demo")
	})
}

func TestListAndRevokeFail(t *testing.T) {
	for _, tt := range []struct {
		reason   string
		registry *issue.Registry
		args     []string
		text     string
	}{
		{"list with a wrong password", new(issue.Registry),
			[]string{"list", "--user", "ann", at}, "check user and password"},
		{"revoke with a wrong password", new(issue.Registry),
			[]string{"revoke", "--user", "ann", "x", at}, "check user and password"},
		{"list without registry", nil, []string{"list", at}, "--registry"},
		{"revoke without registry", nil, []string{"revoke", "x", at}, "--registry"},
		{"a path for an ID", new(issue.Registry), []string{"revoke", "../provision", at},
			"no such credential"},
		{"a parent for an ID", new(issue.Registry), []string{"revoke", "..", at}, "405"},
		{"nobody is there", nil, []string{"list", "http://127.0.0.1:2"}, "check the address"},
		{"plain http", nil, []string{"revoke", "x", "http://lucky.example.com"}, "use https"},
		{"a store that fails", &issue.Registry{Store: &file.Dir{}}, []string{"list", at},
			"503 Service Unavailable: try again later"},
		{"revoke with it", &issue.Registry{Store: &file.Dir{}}, []string{"revoke", "x", at},
			"503 Service Unavailable: try again later"},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := &service{registry: tt.registry}
			r := serving(t, s).run(t, tt.args...)
			r.fails(t, tt.reason, tt.text)
			if r.stdout != "" {
				t.Errorf("%s: prints %q", tt.reason, r.stdout)
			}
		})
	}
}

// An answer that is not a list is not printed as one.
func TestListOfSomethingElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &machine{environ: map[string]string{passwordVariable: demoPassword}}
		_, _, _ = m.network.host(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte("<html>canary-0f1e2d"))
		}))
		m.run(t, "list", at).fails(t, "a web page", "not a list of credentials")
	})
}

// A browser that remembers a user's password does not revoke a key for another site.
func TestRevokeFromAnotherSite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &service{registry: new(issue.Registry)}
		m := serving(t, s)
		m.run(t, "get", at).prints(t, "demo", hello)
		e := only(t, s, "demo")
		for _, tt := range []struct {
			site   string
			status int
		}{{"cross-site", http.StatusForbidden}, {"same-origin", http.StatusNoContent}} {
			req := httptest.NewRequest("DELETE", "/credentials/"+e.ID, http.NoBody)
			req.SetBasicAuth("demo", demoPassword)
			req.Header.Set("Sec-Fetch-Site", tt.site)
			w := httptest.NewRecorder()
			m.network.sites[0].handler.ServeHTTP(w, req)
			if w.Code != tt.status {
				t.Errorf("%s: %d, want %d", tt.site, w.Code, tt.status)
			}
		}
	})
}

// Wrong passwords are counted together, wherever a client tries them. Clients with a key are not
// delayed.
func TestGuessesAreLimited(t *testing.T) {
	for _, command := range [][]string{{"get", "--store", ""}, {"list"}, {"revoke", "x"}} {
		synctest.Test(t, func(t *testing.T) {
			s := &service{registry: new(issue.Registry)}
			m := serving(t, s)
			m.run(t, "get", at).prints(t, "a key is stored", hello)
			for range 20 {
				m.run(t, "list", at) // the right password costs nothing
			}
			m.environ[passwordVariable] = "canary-b0b0b0"
			for range 10 {
				m.run(t, "list", at).fails(t, "a guess", "check user and password")
			}
			args := append(command, at)
			began, say := time.Now(), "429"
			if command[0] == "get" { // waits as the service asks, and then guesses again
				say = "check user and password"
			}
			m.run(t, args...).fails(t, "one too many: "+command[0], say)
			if waited := time.Since(began) >= time.Second; waited != (command[0] == "get") {
				t.Errorf("%s: waited for %s", command[0], time.Since(began))
			}
			m.run(t, "get", at).prints(t, "the stored key", hello)

			time.Sleep(5 * time.Second) // synctest time
			m.environ[passwordVariable] = demoPassword
			if r := m.run(t, args...); strings.Contains(r.stderr, "429") {
				t.Errorf("%s: not let in again: %s", command[0], r.stderr)
			}
		})
	}
}

// A user gets a number of keys at once, and then one each second at most.
func TestKeysAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(service)
		m := serving(t, s)
		began := time.Now()
		for range 20 {
			m.run(t, "get", "--store", "", at).prints(t, "a key", hello)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("20 keys in %s", took)
		}
		m.run(t, append(append([]string{"get"}, asAnn(t)...), at)...).prints(t, "ann", helloAnn)
		// The client waits as long as the service asks.
		for range 3 {
			m.run(t, "get", "--store", "", at).prints(t, "a key each second", hello)
		}
		if took := time.Since(began); took < 2*time.Second || took > 5*time.Second {
			t.Errorf("23 keys in %s", took)
		}
	})
}

// registryOf returns the registry for the flags of serve.
func registryOf(t *testing.T, args ...string) *issue.Registry {
	t.Helper()
	p := &program{getenv: func(string) string { return demoPassword }, stderr: os.Stderr}
	s, _, err := p.newService(args)
	if err != nil {
		t.Fatalf("%q: %v", args, err)
	}
	return s.registry
}

func TestServeFlagsOfRegistry(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "keys")
	if r := registryOf(t); r != nil {
		t.Errorf("a registry that was not asked for: %v", r)
	}
	if r := registryOf(t, "--registry"); r == nil || r.Store != nil || r.Lifetime != 0 {
		t.Errorf("in memory: %v", r)
	}
	r := registryOf(t, "--registry", "--store", folder, "--lifetime", "3h")
	if r == nil || r.Lifetime != 3*time.Hour {
		t.Fatalf("in a folder: %v", r)
	}
	if dir, ok := r.Store.(*file.Dir); !ok || dir.Path != folder {
		t.Errorf("in a folder: %v", r.Store)
	}
	notFolder := writeFile(t, t.TempDir(), "")
	m := machine{environ: map[string]string{passwordVariable: demoPassword}}
	ended, cancel := context.WithCancel(t.Context()) // otherwise it would serve if it did not fail
	cancel()
	m.runContext(t, ended, "serve", "--address", "127.0.0.1:0", "--registry", "--store", notFolder).
		fails(t, "no folder", "wrong type of file")
}

// A service that keeps its keys in a folder is restarted, and clients do not notice. Revoked keys
// stay revoked.
func TestRegistryOutlivesTheService(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		folder := filepath.Join(t.TempDir(), "keys")
		open := func() *service {
			r, err := openRegistry(folder, 0)
			if err != nil {
				t.Fatal(err)
			}
			return &service{registry: r}
		}
		first, second := open(), open()
		m := serving(t, first)
		ann := append(append([]string{"get"}, asAnn(t)...), at)
		m.run(t, ann...).prints(t, "ann", helloAnn)
		m.run(t, "get", at).prints(t, "demo", hello)
		if err := first.registry.Revoke(t.Context(), only(t, first, "ann").ID); err != nil {
			t.Fatal(err)
		}
		listed := m.run(t, "list", at).stdout

		second.users = first.users
		m.network.sites[0].handler = second.handler()
		time.Sleep(10 * time.Second) // the keys are no longer new
		m.run(t, "get", at).prints(t, "demo, again", hello)
		if got := second.String(); got != "issued 0, answered 1, stale 0, expired 0, invalid 0" {
			t.Errorf("the second service has counted: %s", got)
		}
		m.run(t, "list", at).prints(t, "the same key", listed)
		m.run(t, ann...).prints(t, "ann, again", helloAnn)
		if second.invalid.Load() != 1 || second.issued.Load() != 1 {
			t.Errorf("the revoked key: %s", second)
		}
	})
}
