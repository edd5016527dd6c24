package main

import (
	"bytes"
	"encoding/json"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/portal"
	"github.com/countersign-go/countersign/provision/issue"
)

// TestProgramRuns builds the program that the page shows, and runs it beside the file that the page
// shows.
func TestProgramRuns(t *testing.T) {
	s := &service{users: portal.Memory{"demo": creds.Secret(demoPassword)},
		registry: new(issue.Registry)}
	server := httptest.NewServer(s.handler())
	defer server.Close()
	m, err := s.registry.Issue(t.Context(), &auth.Identity{Subject: "demo", Scheme: "Basic"})
	if err != nil {
		t.Fatal(err)
	}
	source, err := writeProgram(server.URL + "/")
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	if err := writeCredentials(filepath.Join(folder, "luckynum.json"), m); err != nil {
		t.Fatal(err)
	}
	run := exec.CommandContext(t.Context(), buildSource(t, source))
	run.Dir = folder
	var log bytes.Buffer
	run.Stderr = &log // of retries, if the service has only just been started
	out, err := run.Output()
	if want := "Hello demo! Your lucky number for today is "; err != nil ||
		len(out) < len(want) || string(out[:len(want)]) != want {
		t.Errorf("%v: %s%s", err, out, &log)
	}
	run = exec.CommandContext(t.Context(), run.Path)
	run.Dir = t.TempDir() // without the file
	if out, err := run.CombinedOutput(); err == nil {
		t.Errorf("without credentials: %s", out)
	}
}

// buildSource compiles a program as a part of this module, without adding a file to it.
func buildSource(t *testing.T, source string) (program string) {
	t.Helper()
	folder := t.TempDir()
	file := filepath.Join(folder, "main.go")
	if err := os.WriteFile(file, []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	overlay, err := json.Marshal(map[string]any{
		"Replace": map[string]string{filepath.Join(here, "generated", "main.go"): file},
	})
	if err != nil {
		t.Fatal(err)
	}
	list := filepath.Join(folder, "overlay.json")
	if err := os.WriteFile(list, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	program = filepath.Join(folder, "generated.exe")
	build := exec.CommandContext(t.Context(), "go", "build", "-overlay", list, "-o", program,
		"./generated")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return program
}
