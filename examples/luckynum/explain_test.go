package main

import (
	"strings"
	"testing"
	"testing/synctest"
)

// A service that reads another URL than its clients request refuses all of them.
func TestGetExplain(t *testing.T) {
	elsewhere, err := parseURL("https://lucky.example.com")
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		m := serving(t, &service{publicURL: elsewhere})
		r := m.run(t, "get", "--explain", at)
		lines := strings.SplitAfter(r.stderr, "\n")
		if r.status != 1 || len(lines) != 11 {
			t.Fatalf("status %d, %s", r.status, r.stderr)
		}
		if !strings.HasPrefix(lines[0], "   explained        the MAC is right for this request: ") {
			t.Error(lines[0])
		}
		dump := strings.Join(lines[3:9], "")
		for _, line := range []string{`method  "GET\n"`, `target  "/\n"`, `host    "127.0.0.1\n"`,
			`port    "1\n"`, `ext     "\n"`} {
			if !strings.Contains(dump, line+"\n") {
				t.Errorf("no %s in\n%s", line, dump)
			}
		}
		if !strings.HasPrefix(lines[9], "luckynum: the service refused") {
			t.Errorf("the last line is %q", lines[9])
		}
	})
}

// Only refusals are explained, and only of signatures, not of tokens.
func TestGetExplainsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := serving(t, new(service))
		r := m.run(t, "get", "--explain", at)
		r.prints(t, "nothing to explain", hello)
		if r.stderr != "" {
			t.Error(r.stderr)
		}
		m.run(t, "get", "--explain", "http://127.0.0.1:2").fails(t, "nobody is there", "check")
		if r := m.run(t, "get", "--explain", "--jwt", at); r.status != 2 {
			t.Errorf("status %d, %s", r.status, r.stderr)
		}
	})
}
