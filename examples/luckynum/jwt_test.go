package main

import (
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestGetJWT(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(service)
		m := serving(t, s)
		m.run(t, "get", "--jwt", "-n", "3", at).prints(t, "the first run", strings.Repeat(hello, 3))
		m.run(t, "get", "--jwt", at).prints(t, "a run with what the first has stored", hello)
		m.run(t, "get", at).prints(t, "the other scheme, at the same handler", hello)
		if s.tokens.Load() != 1 || s.issued.Load() != 1 || s.invalid.Load() != 0 {
			t.Errorf("one login and one key would do: %v", s)
		}
		time.Sleep(10 * time.Minute)
		m.run(t, "get", "--jwt", at).prints(t, "the token has ended", hello)
		if s.tokens.Load() != 2 || s.expired.Load() != 0 {
			t.Errorf("the second token had to be had without a refusal: %v", s)
		}
	})
}

// TestGetJWTHistory checks the steps of a client whose token the service no longer knows.
func TestGetJWTHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := serving(t, new(service))
		m.run(t, "get", "--jwt", at).prints(t, "the first run", hello)
		time.Sleep(10 * time.Second)      // the token is no longer new
		again := serving(t, new(service)) // it has other secrets
		again.config = m.config
		r := again.run(t, "get", "--jwt", "--history", at)
		r.prints(t, "after a restart of the service", hello)
		const want = `   signed           GET / with Bearer: 401 credential
   provisioned      POST /login: 200
   signed           GET / with Bearer: 200
`
		if r.stderr != want {
			t.Errorf("the steps are\n%s", r.stderr)
		}
	})
}

func TestGetJWTRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "none")
	for _, tt := range []struct {
		reason, password string
		args             []string
		status           int
		stderr           string // part of it
	}{
		{"wrong password", "wrong", nil, 1, "401"},
		{"a key and a token", demoPassword, []string{"--credentials", file}, 2, "choose one"},
	} {
		synctest.Test(t, func(t *testing.T) {
			m := serving(t, new(service))
			m.environ[passwordVariable] = tt.password
			r := m.run(t, append(append([]string{"get", "--jwt"}, tt.args...), at)...)
			if r.status != tt.status || r.stdout != "" || !strings.Contains(r.stderr, tt.stderr) {
				t.Errorf("%s: status %d, %q", tt.reason, r.status, r.stderr)
			}
		})
	}
}
