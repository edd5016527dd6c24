package retry_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/mac"
	"github.com/countersign-go/countersign/retry"
	"github.com/countersign-go/countersign/transport"
)

// A discarded answer is read up to a limit, and closed before the next attempt.
func TestRetryDiscards_B7(t *testing.T) {
	for _, tt := range []struct {
		name string
		body func() io.Reader
		read int
	}{
		{"short", func() io.Reader { return strings.NewReader("short") }, 5},
		{"endless", func() io.Reader { return zeros{} }, 64<<10 + 1},
		{"silent", func() io.Reader { r, _ := io.Pipe(); return r }, 0},
		{"broken", func() io.Reader { return failure{io.ErrUnexpectedEOF} }, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				body := &answer{Reader: tt.body()}
				s := &stage{Plan: []reply{
					{Status: 503, Header: "Retry-After: 1", Body: body}, {Status: 200}}}
				status, _, err := do(t, clientOf(s, 0), request(t, "GET", nil))
				if status != 200 || err != nil || len(s.Sent) != 2 {
					t.Fatalf("status %d, %v after %d attempts", status, err, len(s.Sent))
				}
				synctest.Wait() // until the read has ended
				if s.Waits()[0] != time.Second || body.closed != 1 || body.read != tt.read {
					t.Errorf("read %d bytes in %v, closed %d times",
						body.read, s.Waits()[0], body.closed)
				}
			})
		})
	}
}

// The time to read a discarded answer is a part of the wait, and leaves time for the next attempt.
func TestRetryDiscardsInTime_B7(t *testing.T) {
	for _, tt := range []struct {
		name, wait  string
		limit, want time.Duration
	}{
		{"within the pause", "1", 1500 * time.Millisecond, time.Second},
		{"a long pause", "20", time.Minute, 20 * time.Second},
		{"a short pause and much time", "0", time.Minute, time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				silent, _ := io.Pipe()
				s := &stage{Plan: []reply{
					{Status: 503, Header: "Retry-After: " + tt.wait, Body: silent}, {Status: 200}}}
				ctx, cancel := context.WithTimeout(t.Context(), tt.limit)
				defer cancel()
				status, _, err := do(t, clientOf(s, 0), request(t, "GET", nil).WithContext(ctx))
				if status != 200 || err != nil {
					t.Fatalf("status %d, %v after %d attempts", status, err, len(s.Sent))
				}
				if got := s.Waits()[0]; got != tt.want {
					t.Errorf("the next attempt came after %v, want %v", got, tt.want)
				}
			})
		})
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// answer is a body that counts the bytes read and the calls of Close.
type answer struct {
	io.Reader
	read, closed int
}

func (a *answer) Read(p []byte) (int, error) {
	n, err := a.Reader.Read(p)
	a.read += n
	return n, err
}

func (a *answer) Close() error {
	a.closed++
	if c, ok := a.Reader.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

// A body is sent whole each time. If it cannot be sent again, the last answer is returned.
func TestRetryBody_B2(t *testing.T) {
	fresh := func() (io.ReadCloser, error) {
		return &counted{Reader: strings.NewReader("whole")}, nil
	}
	for _, tt := range []struct {
		name    string
		getBody func(first io.ReadCloser) func() (io.ReadCloser, error)
		sends   int
	}{
		{"a fresh one", func(io.ReadCloser) func() (io.ReadCloser, error) { return fresh }, 3},
		{"no GetBody", func(io.ReadCloser) func() (io.ReadCloser, error) { return nil }, 1},
		{"GetBody fails", func(io.ReadCloser) func() (io.ReadCloser, error) {
			return func() (io.ReadCloser, error) { return nil, errors.New("no") }
		}, 1},
		{"the same again", func(first io.ReadCloser) func() (io.ReadCloser, error) {
			return func() (io.ReadCloser, error) { return first, nil }
		}, 1},
		{"nothing", func(io.ReadCloser) func() (io.ReadCloser, error) {
			return func() (io.ReadCloser, error) { return nil, nil }
		}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &stage{Plan: statuses(503)}
				req := request(t, "PUT", nil)
				req.Body, _ = fresh()
				req.ContentLength = 5
				req.GetBody = tt.getBody(req.Body)
				status, body, err := do(t, clientOf(s, 0), req)
				if status != 503 || body != "a reason" || err != nil || len(s.Sent) != tt.sends {
					t.Errorf("status %d, %q, %v after %d attempts, want %d",
						status, body, err, len(s.Sent), tt.sends)
				}
				for i, sent := range s.Sent {
					if s.Bodies[i] != "whole" || sent.ContentLength != 5 {
						t.Errorf("attempt %d: %q of %d", i, s.Bodies[i], sent.ContentLength)
					}
				}
				if first := req.Body.(*counted); first.closed != 1 {
					t.Errorf("the caller's body was closed %d times", first.closed)
				}
			})
		})
	}
}

// A Signer that reads the body, and an attempt after a refusal, each get the whole body.
func TestRetryBodyReread_B2(t *testing.T) {
	key := &mac.Credentials{ID: "id", Key: creds.Secret("canary-b0d7")}
	for name, tt := range map[string]struct {
		signer transport.Signer
		plan   []int
	}{
		"digest":  {&mac.Signer{Source: key, BodyDigest: true}, []int{503, 200}},
		"refused": {&refuser{cause: transport.CauseCredential}, []int{401, 503, 401, 200}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &stage{Plan: statuses(tt.plan...)}
				client := newClient(config{Signer: tt.signer, Base: s})
				req := request(t, "PUT", nil)
				var copies []*counted
				open := func() (io.ReadCloser, error) {
					copies = append(copies, &counted{Reader: strings.NewReader("whole")})
					return copies[len(copies)-1], nil
				}
				req.Body, _ = open()
				req.GetBody = open
				status, _, err := do(t, client, req)
				want := strings.TrimSpace(strings.Repeat("whole ", len(tt.plan)))
				if status != 200 || err != nil || strings.Join(s.Bodies, " ") != want {
					t.Errorf("status %d, %v, sent %q", status, err, s.Bodies)
				}
				for i, c := range copies {
					if c.closed != 1 {
						t.Errorf("body %d was closed %d times", i, c.closed)
					}
				}
			})
		})
	}
}

// If a read of the body does not end, the body cannot be sent again.
func TestRetryBodyStuck_B9(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, feed := io.Pipe()
		defer feed.Close()
		sends, copies, arrived := 0, 0, int64(0)
		client := newClient(config{
			Signer: &refuser{},
			Base: roundTripper(func(req *http.Request) (*http.Response, error) {
				sends++
				go func() {
					defer req.Body.Close()
					arrived, _ = io.Copy(io.Discard, req.Body)
				}()
				synctest.Wait()
				return &http.Response{StatusCode: 503, Header: http.Header{"Retry-After": {"2"}},
					Body: io.NopCloser(strings.NewReader("a reason"))}, nil
			}),
		})
		req := request(t, "PUT", nil)
		req.Body, req.GetBody = source, func() (io.ReadCloser, error) {
			copies++
			return &counted{Reader: strings.NewReader("")}, nil
		}
		begun := time.Now()
		status, body, err := do(t, client, req)
		if status != 503 || body != "a reason" || err != nil || sends != 1 || copies != 0 {
			t.Errorf("status %d, %q, %v after %d attempts", status, body, err, sends)
		}
		if took := time.Since(begun); took != time.Second {
			t.Errorf("waited %v for the body", took)
		}
		_, _ = io.WriteString(feed, "late")
		_, _ = io.WriteString(feed, "r")
		_ = feed.Close()
		if synctest.Wait(); arrived != 5 {
			t.Errorf("%d bytes arrived after the answer, want all", arrived)
		}
	})
}

// The next attempt waits for a read that ends soon.
func TestRetryBodySlow_B9(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var times []time.Time
		client := newClient(config{
			Signer: &refuser{},
			Base: roundTripper(func(req *http.Request) (*http.Response, error) {
				times = append(times, time.Now())
				go func() {
					defer req.Body.Close()
					_, _ = req.Body.Read(make([]byte, 1))
				}()
				synctest.Wait()
				return &http.Response{StatusCode: 503}, nil
			}),
			Retry: retry.Transport{Max: 1},
		})
		req := request(t, "PUT", nil)
		req.GetBody = func() (io.ReadCloser, error) { return &counted{Reader: sleepy{}}, nil }
		req.Body, _ = req.GetBody()
		status, _, err := do(t, client, req)
		if status != 503 || err != nil || len(times) != 2 {
			t.Fatalf("status %d, %v after %d attempts", status, err, len(times))
		}
		if wait := times[1].Sub(times[0]); wait < 900*time.Millisecond {
			t.Errorf("the next attempt came after %v, before the read had ended", wait)
		}
		time.Sleep(time.Second) // until the last read has ended
	})
}

type sleepy struct{}

func (sleepy) Read([]byte) (int, error) {
	time.Sleep(900 * time.Millisecond)
	return 0, io.EOF
}

// All readers of a file share its offset, so the next attempt begins when the previous one has
// stopped reading, either the caller's own reader or the reader of an attempt after a refusal.
func TestRetryBodyShared_B9(t *testing.T) {
	for name, early := range map[string]int{"first": 1, "mended": 2} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				file := strings.NewReader(strings.Repeat("0123456789", 10))
				base := &lingerer{early: early}
				client := newClient(config{
					Signer: &refuser{cause: transport.CauseCredential}, Base: base,
				})
				req := request(t, "PUT", nil)
				req.GetBody = func() (io.ReadCloser, error) {
					_, err := file.Seek(0, io.SeekStart)
					return &counted{Reader: file}, err
				}
				req.Body, _ = req.GetBody()
				req.ContentLength = file.Size()
				status, body, err := do(t, client, req)
				synctest.Wait()
				if status != 200 || int64(len(body)) != file.Size() || err != nil {
					t.Errorf("status %d, %v, %d bytes arrived", status, err, len(body))
				}
				if base.attempts != early+1 || base.late == nil {
					t.Errorf("%d attempts, and the early one ended with %v", base.attempts,
						base.late)
				}
			})
		})
	}
}

// A lingerer answers one attempt early and goes on reading its body. It refuses the attempts before
// that attempt, and answers the attempt after it with the body of the request.
type lingerer struct {
	early, attempts int
	late            error // the error of the last read
}

func (l *lingerer) RoundTrip(req *http.Request) (*http.Response, error) {
	l.attempts++
	switch {
	case l.attempts < l.early:
		_ = req.Body.Close()
		return &http.Response{StatusCode: 401}, nil
	case l.attempts == l.early:
		go func() {
			defer req.Body.Close()
			for l.late == nil {
				time.Sleep(time.Second)
				_, l.late = req.Body.Read(make([]byte, 1))
			}
		}()
		return &http.Response{StatusCode: 503, Header: http.Header{"Retry-After": {"2"}}}, nil
	}
	time.Sleep(3 * time.Second)
	body, err := io.ReadAll(req.Body)
	_ = req.Body.Close()
	return &http.Response{StatusCode: 200, Body: io.NopCloser(bytes.NewReader(body))}, err
}
