package main

import (
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/portal"
	"github.com/countersign-go/countersign/provision"
)

const (
	demoPassword = "canary-4f1d9c"
	annPassword  = "canary-a77e05:with a colon"
)

// serving returns a machine whose network has s at http://127.0.0.1:1. The machine has the password
// of demo, and an empty folder for settings. serving must be called in a bubble.
func serving(t *testing.T, s *service) *machine {
	t.Helper()
	s.users = portal.Memory{
		"demo": creds.Secret(demoPassword), "ann": creds.Secret(annPassword),
	}
	m := &machine{
		environ: map[string]string{passwordVariable: demoPassword}, config: t.TempDir(),
	}
	_, _, _ = m.network.host(s.handler())
	time.Sleep(time.Second) // synctest time: the first second of a service
	return m
}

const at = "http://127.0.0.1:1"

// prints checks that the program has succeeded, and has printed text.
func (r result) prints(t *testing.T, reason, stdout string) {
	t.Helper()
	if r.status != 0 || r.stdout != stdout {
		t.Errorf("%s: status %d, %q, %q; want %q", reason, r.status, r.stdout, r.stderr, stdout)
	}
}

const (
	hello    = "Hello demo! Your lucky number for today is 83.\n"
	helloAnn = "Hello ann! Your lucky number for today is 6.\n"
)

func TestGet(t *testing.T) {
	dir := t.TempDir()
	file := writeFile(t, dir, annPassword+"\r\nmore\n")
	for _, tt := range []struct {
		reason, stdin string
		args          []string
		stdout        string
	}{
		{"the password is in the environment", "", nil, hello},
		{"it is in a file", "", []string{"--user", "ann", "--password-file", file}, helloAnn},
		{"it comes by a pipe", annPassword, []string{"-user=ann", "-password-file=-"}, helloAnn},
		{"three times", "", []string{"-n", "3"}, strings.Repeat(hello, 3)},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := new(service)
			m := serving(t, s)
			m.stdin = tt.stdin
			r := m.run(t, append(append([]string{"get"}, tt.args...), at)...)
			r.prints(t, tt.reason, tt.stdout)
			if r.stderr != "" || s.issued.Load() != 1 {
				t.Errorf("%s: %d keys, %s", tt.reason, s.issued.Load(), r.stderr)
			}
		})
	}
}

// All recoverable errors occur at once. Each step is printed, in the order in which it happened.
func TestGetHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &service{lifetime: 2 * time.Second, skew: -time.Hour}
		r := serving(t, s).run(t, "get", "--history", "-n", "2", "--every", "3s", at)
		r.prints(t, "wrong clock and expired key", strings.Repeat(
			"Hello demo! Your lucky number for today is 54.\n", 2)) // there, it is still 1999
		const want = `   provisioned      POST /provision with Basic: 200
   signed           GET / with MAC: 401 stale
   signed           GET / with MAC: 200, signed with the clock off by -1h0m0s
   clock corrected  by -1h0m0s
   signed           GET / with MAC: 401 credential, signed with the clock off by -1h0m0s
   key renewed      POST /provision with Basic: 200
   signed           GET / with MAC: 200, signed with the clock off by -1h0m0s
`
		if r.stderr != want {
			t.Errorf("got\n%swant\n%s", r.stderr, want)
		}
		if got := s.String(); got != "issued 2, answered 2, stale 1, expired 1, invalid 0" {
			t.Errorf("the service has counted: %s", got)
		}
	})
}

// Steps that fail are printed too.
func TestGetHistoryOfFailure(t *testing.T) {
	none := filepath.Join(t.TempDir(), "none")
	synctest.Test(t, func(t *testing.T) {
		m := serving(t, new(service))
		for _, tt := range []struct {
			args []string
			step string
		}{
			{[]string{"--user", "ann", at}, "no key           POST /provision with Basic: 401"},
			{[]string{"--user", "ann", "--credentials", none, at},
				"no key           POST /provision with Basic: 401"},
			{[]string{"http://127.0.0.1:2"},
				"no key           POST /provision with Basic: no answer"},
		} {
			r := m.run(t, append([]string{"get", "--history"}, tt.args...)...)
			step, rest, _ := strings.Cut(r.stderr, "\n")
			if strings.TrimSpace(step) != tt.step {
				t.Errorf("the first step is %q, want %q", step, tt.step)
			}
			// Transient errors are tried three times.
			r.stderr = strings.TrimPrefix(rest, strings.Repeat(step+"\n", 2))
			r.fails(t, tt.step, "check")
		}
	})
}

func TestGetFails(t *testing.T) {
	dir := t.TempDir()
	readable := writeFile(t, dir, demoPassword)
	if err := os.Chmod(readable, 0o644); err != nil {
		t.Fatal(err)
	}
	empty := writeFile(t, dir, "\n")
	badURL, _ := parseURL("https://lucky.example.com")
	for _, tt := range []struct {
		reason  string
		service *service
		args    []string
		text    string
	}{
		{"wrong password", new(service), []string{"--user", "ann", at}, "check user and password"},
		{"nobody is there", new(service), []string{"http://127.0.0.1:2"}, "check the address"},
		{"no such page", new(service), []string{at + "/elsewhere"}, "check that the address"},
		{"plain http", new(service), []string{"http://lucky.example.com"}, "except to this"},
		{"wrong signatures", &service{publicURL: badURL}, []string{at}, "--public-url"},
		{"no password in the file", new(service), []string{"--password-file", empty, at},
			"the password is empty"},
		{"no file", new(service), []string{"--password-file", dir + "/none", at}, "none"},
		{"a file for all to read", new(service), []string{"--password-file", readable, at},
			"chmod 600"},
	} {
		if runtime.GOOS == "windows" && strings.Contains(tt.text, "chmod") {
			continue
		}
		synctest.Test(t, func(t *testing.T) {
			r := serving(t, tt.service).run(t, append([]string{"get"}, tt.args...)...)
			r.fails(t, tt.reason, tt.text)
			if r.stdout != "" {
				t.Errorf("%s: prints %q", tt.reason, r.stdout)
			}
		})
	}
}

// The error for an answer that is neither a number nor a refusal has the status.
func TestGetTellsTheStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := serving(t, new(service))
		s := m.network.sites[0]
		whole := s.handler
		s.handler = http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if req.Method == http.MethodGet {
				w.WriteHeader(http.StatusTeapot)
				return
			}
			whole.ServeHTTP(w, req)
		})
		m.run(t, "get", at).fails(t, "a teapot", "the service answered 418 I'm a teapot")
	})
}

func TestGetCredentialsFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "key.json")
	synctest.Test(t, func(t *testing.T) {
		s := new(service)
		m := serving(t, s)
		r := m.run(t, "get", "--credentials", file, "--history", at)
		r.prints(t, "no file yet", hello)
		if !strings.HasPrefix(r.stderr, "   provisioned ") {
			t.Errorf("the steps do not begin with the first one: %s", r.stderr)
		}
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(file)
		if err != nil || info.Mode().Perm() != 0o600 && runtime.GOOS != "windows" {
			t.Errorf("the file has mode %v, %v", info.Mode(), err)
		}
		key, err := provision.Unmarshal(data)
		if err != nil || strings.Contains(r.stderr+r.stdout, string(key.Key)) {
			t.Errorf("the file is of no use, %v, or the key is printed", err)
		}

		m.environ = nil
		m.run(t, "get", "--credentials", file, "-n", "2", at).prints(t, "no password", hello+hello)
		if n := s.issued.Load(); n != 1 {
			t.Errorf("%d keys were issued, not one", n)
		}

		time.Sleep(time.Hour) // synctest time
		m.run(t, "get", "--credentials", file, at).fails(t, "ended", "has ended: delete")

		// A service that has been restarted has another secret.
		m = serving(t, new(service))
		key.Expires = time.Time{}
		if data, err = provision.Marshal(key); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		m.run(t, "get", "--credentials", file, at).fails(t, "refused", "delete the --cred")
		m.run(t, "get", "--credentials", file, "http://127.0.0.1:2").
			fails(t, "nobody is there", "check the address")
		m.run(t, "get", "--credentials", file, "http://lucky.example.com").
			fails(t, "plain http", "except to this machine: use https")

		if err := os.WriteFile(file, []byte(`{"id":"x","key":"canary-0b5e55"`), 0o600); err != nil {
			t.Fatal(err)
		}
		m.run(t, "get", "--credentials", file, at).fails(t, "half a file", "key.json")
	})
}

// A file for a key must not be one, or a link to one, that another user has put there.
func TestCredentialsFileIsNew(t *testing.T) {
	dir := t.TempDir()
	file := writeFile(t, dir, "other")
	link := filepath.Join(dir, "link")
	if err := os.Symlink(filepath.Join(dir, "target"), link); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		m := serving(t, new(service))
		m.run(t, "get", "--credentials", link, at).fails(t, "a link to nowhere", "exists")
		m.run(t, "get", "--credentials", file, at).fails(t, "another file", "cannot be read")
		m.run(t, "get", "--credentials", dir+"/none/key", at).fails(t, "no such folder", "none")
	})
	if data, err := os.ReadFile(file); err != nil || string(data) != "other" {
		t.Errorf("the file was touched: %q, %v", data, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "target")); err == nil {
		t.Error("a file was made at the other end of the link")
	}
}

// writeFile makes a file with a unique name that only its owner can read.
func writeFile(t *testing.T, dir, text string) string {
	t.Helper()
	f, err := os.CreateTemp(dir, "") // mode 0600
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
	return f.Name()
}
