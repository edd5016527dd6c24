package interop

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"os/exec"
	"testing"
	"time"
)

// A peer is a Python program of testdata that reads and writes JSON, one line at a time.
type peer struct {
	in     io.WriteCloser
	out    *bufio.Reader
	errors bytes.Buffer // written by the process; read after it has ended
}

// startPeer runs a script until the test ends. The script stops when its standard input ends, which
// also happens if the test process is killed.
func startPeer(t *testing.T, script string, args ...string) *peer {
	t.Helper()
	args = append([]string{"-W", "ignore", "testdata/" + script}, args...)
	cmd := exec.Command(python(t), args...)
	p := &peer{}
	cmd.Stderr = &p.errors
	cmd.WaitDelay = 10 * time.Second
	var err error
	if p.in, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.out = bufio.NewReader(out)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.in.Close()
		kill := time.AfterFunc(10*time.Second, func() { cmd.Process.Kill() })
		defer kill.Stop()
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s: %v", script, err)
		}
		if t.Failed() {
			t.Logf("%s wrote:\n%s", script, &p.errors)
		}
	})
	return p
}

func (p *peer) read(t *testing.T, v any) {
	t.Helper()
	line, err := p.out.ReadBytes('\n')
	if err != nil {
		t.Fatalf("the Python program has stopped: %v", err)
	}
	if err := json.Unmarshal(line, v); err != nil {
		t.Fatalf("the Python program says %q: %v", line, err)
	}
}

func (p *peer) write(t *testing.T, v any) {
	t.Helper()
	if err := json.NewEncoder(p.in).Encode(v); err != nil {
		t.Fatal(err)
	}
}
