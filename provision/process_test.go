package provision_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/creds/file"
	"github.com/countersign-go/countersign/mac"
	"github.com/countersign-go/countersign/provision"
	"github.com/countersign-go/countersign/transport"
)

// A script, for the test below, is this test program with the address of a service.
var (
	address = flag.String("service", "", "be a script that asks this service")
	folder  = flag.String("folder", "", "where that script keeps its credentials")
)

func TestMain(m *testing.M) {
	flag.Parse()
	if *address == "" {
		m.Run()
		return
	}
	if err := script(*address, &file.Dir{Path: *folder}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// script makes one call, like a script that is started every minute.
func script(service string, store creds.Store) error {
	ready := &http.Client{Timeout: time.Minute}
	if _, err := ready.Get(service + "/ready"); err != nil { // returns when all scripts have come
		return err
	}
	clock, log := new(transport.Clock), new(journal)
	source := &provision.Client{URL: service + "/provision", Signer: ann(), Name: "script",
		Store: store, Clock: clock, Logger: log.logger()}
	client := &http.Client{Transport: &transport.Transport{
		Signer: &mac.Signer{Source: source}, Clock: clock,
	}}
	resp, err := client.Get(service + "/number")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != 200 || log.String() != "" {
		return fmt.Errorf("status %d, %v, log %q", resp.StatusCode, transport.History(resp), log)
	}
	return nil
}

const scripts = 8

// scripted is a service for scripts: it makes them begin all at once.
type scripted struct {
	*skewed
	mu    sync.Mutex      // guards skewed and ready
	ready *sync.WaitGroup // the scripts of this start
}

func (s *scripted) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if req.URL.Path == "/ready" {
		s.mu.Lock()
		ready := s.ready
		s.mu.Unlock()
		ready.Done()
		ready.Wait()
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.skewed.ServeHTTP(w, req)
}

// start runs the scripts. It returns how many calls for credentials the service received, and its
// answers.
func (s *scripted) start(t *testing.T, address, folder string) (provided int, statuses []int) {
	t.Helper()
	s.mu.Lock()
	s.provided, s.statuses, s.ready = 0, nil, new(sync.WaitGroup)
	s.ready.Add(scripts)
	s.mu.Unlock()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range scripts {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			cmd := exec.CommandContext(ctx, program, "-service", address, "-folder", folder)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
	wg.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.provided, s.statuses
}

// Scripts that start at once, with an expired record or none, make one provisioning call in all.
// When they start again, they make none, and none of their requests is refused, however wrong the
// clock.
func TestProcesses_K13(t *testing.T) {
	for _, offset := range []time.Duration{0, time.Hour} {
		testProcesses(t, &scripted{skewed: &skewed{offset: offset}})
	}
}

func testProcesses(t *testing.T, s *scripted) {
	t.Helper()
	server := httptest.NewServer(s)
	defer server.Close()
	folder := filepath.Join(t.TempDir(), "credentials")
	for _, round := range []struct {
		name     string
		expired  bool
		provided int
	}{
		{"no record", false, 1}, {"second start", false, 0},
		{"expired", true, 1}, {"second start after that", false, 0},
	} {
		if round.expired {
			expire(t, &file.Dir{Path: folder})
		}
		provided, statuses := s.start(t, server.URL, folder)
		if round.name == "no record" && s.offset != 0 {
			statuses = slices.DeleteFunc(statuses, func(s int) bool { return s == 401 })
		}
		if provided != round.provided || len(statuses) != scripts+provided ||
			slices.Contains(statuses, 401) {
			t.Errorf("%s, clock off by %v: %d provisioning calls, answers %v",
				round.name, s.offset, provided, statuses)
		}
	}
	if t.Failed() {
		return
	}
	data, err := (&file.Dir{Path: folder}).Load(t.Context(), "script")
	if err != nil || !bytes.Contains(data, []byte(`"id":"id1"`)) {
		t.Errorf("%s, %v", data, err)
	}
}

var moment = regexp.MustCompile(`"(saved|expires)":(\d+)`)

// expire makes the record two hours older, which is more than its lifetime.
func expire(t *testing.T, store creds.Store) {
	t.Helper()
	err := store.Update(t.Context(), "script", func(old []byte) ([]byte, error) {
		return moment.ReplaceAllFunc(old, func(m []byte) []byte {
			name, text, _ := strings.Cut(string(m), ":")
			seconds, err := strconv.Atoi(text)
			if err != nil {
				t.Error(err)
			}
			return fmt.Appendf(nil, "%s:%d", name, seconds-7200)
		}), nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
