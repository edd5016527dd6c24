package retry_test

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countersign-go/countersign/retry"
)

var tries = flag.Int("tries", 400, "how many requests TestPostOnce_B5 sends")

// The faults of a faultyServer. All but resetUnread happen after the request was executed.
const (
	resetUnread = iota // RST before the request was read
	reset              // RST before the answer
	closed             // the connection ends before the answer
	status500
	status502
	status503
	cutHeader // the answer ends within its header
	cutBody   // the answer ends within its body
	silence   // no answer
	goodBye   // an answer, then an RST for the next request on the connection
	faults
)

// A faultyServer executes each request and answers with one fault after another.
type faultyServer struct {
	net.Listener
	fired [faults]atomic.Int32
	turn  atomic.Int32

	mu       sync.Mutex // guards executed
	executed map[string]int
}

func newFaultyServer(t *testing.T) *faultyServer {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &faultyServer{Listener: listener, executed: make(map[string]int)}
	var connections sync.WaitGroup
	connections.Go(func() {
		for {
			conn, err := s.Accept()
			if err != nil {
				return
			}
			connections.Go(func() { s.serve(conn.(*net.TCPConn)) })
		}
	})
	t.Cleanup(func() {
		_ = s.Close()
		connections.Wait()
	})
	return s
}

// serve answers requests until a fault ends the connection.
func (s *faultyServer) serve(conn *net.TCPConn) {
	defer conn.Close()
	r := bufio.NewReader(conn)
	for {
		if _, err := r.Peek(1); err != nil {
			return
		}
		fault := int(s.turn.Add(1)-1) % faults
		s.fired[fault].Add(1)
		if fault == resetUnread {
			_ = conn.SetLinger(0)
			return
		}
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		id, err := io.ReadAll(req.Body)
		if err != nil {
			return
		}
		s.mu.Lock()
		s.executed[string(id)]++
		s.mu.Unlock()
		if !s.answer(conn, fault) {
			return
		}
	}
}

// answer reports whether the connection stays open.
func (s *faultyServer) answer(conn *net.TCPConn, fault int) bool {
	switch fault {
	case reset:
		_ = conn.SetLinger(0)
		return false
	case closed:
		return false
	case status500, status502, status503:
		status := map[int]int{status500: 500, status502: 502, status503: 503}[fault]
		_, err := fmt.Fprintf(conn, "HTTP/1.1 %d X\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n",
			status)
		return err == nil
	case cutHeader:
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Le")
		return false
	case cutBody:
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
		return false
	case silence:
		_, _ = conn.Read(make([]byte, 1)) // until the client has closed the connection
		return false
	}
	_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
	_ = conn.SetLinger(0)
	return false
}

// twice returns how many ids were executed more than once, and how many were executed at all.
func (s *faultyServer) twice() (twice, all int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range s.executed {
		if n > 1 {
			twice++
		}
	}
	return twice, len(s.executed)
}

// send makes requests from several goroutines, each with a different id as its body, until n have
// arrived.
func (s *faultyServer) send(t *testing.T, n int, header string) {
	base := &http.Transport{MaxIdleConnsPerHost: 8}
	defer base.CloseIdleConnections()
	client := newClient(config{
		Signer: &refuser{}, Base: base,
		Retry: retry.Transport{WaitMin: time.Millisecond}, // each call has 20 ms in all
	})
	var ids atomic.Int32
	var senders sync.WaitGroup
	for range 8 {
		senders.Go(func() {
			// On a busy machine, the deadline of some requests passes before the server sees them.
			for int(ids.Load()) < n || int(s.turn.Load()) < n && int(ids.Load()) < 2*n {
				s.post(t, client, fmt.Sprint(header, ids.Add(1)), header)
			}
		})
	}
	senders.Wait()
}

func (s *faultyServer) post(t *testing.T, client *http.Client, id, header string) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "POST", "http://"+s.Addr().String()+"/",
		strings.NewReader(id))
	if err != nil {
		t.Error(err)
		return
	}
	if header != "" {
		req.Header.Set(header, id)
	}
	resp, err := client.Do(req)
	if err != nil {
		return
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
}

// TestPostOnce_B5 sends POST requests, over real sockets and in real time, to a server that fails
// in every way. The server counts how often it executes each request. With -tries=10000 each fault
// happens a thousand times.
func TestPostOnce_B5(t *testing.T) {
	s := newFaultyServer(t)
	s.send(t, *tries, "")
	twice, all := s.twice()
	if twice != 0 || all < *tries/2 {
		t.Errorf("%d of %d were executed more than once", twice, all)
	}
	counts := make([]int32, faults)
	for fault := range counts {
		counts[fault] = s.fired[fault].Load()
		if int(counts[fault]) < *tries/faults {
			t.Errorf("fault %d happened %d times only", fault, counts[fault])
		}
	}
	t.Logf("of %d executed, %d more than once; faults %v", all, twice, counts)
}

// TestPostWithKey_B5 shows that the same server executes requests twice if they may be repeated.
func TestPostWithKey_B5(t *testing.T) {
	s := newFaultyServer(t)
	s.send(t, 400, "Idempotency-Key")
	if twice, all := s.twice(); twice == 0 {
		t.Errorf("of %d with a key, none was executed twice", all)
	}
}
