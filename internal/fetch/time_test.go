package fetch_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-go/countersign/internal/fetch"
)

// The longest wait in the three fields counts, with any status.
func TestWait(t *testing.T) {
	for _, tt := range []struct {
		retry, backoff, short string
		want                  time.Duration
	}{
		{"", "", "", 0},
		{"7", "", "", 7 * time.Second},
		{"7", "9", "8", 9 * time.Second},
		{"", "7", "9", 9 * time.Second},
		{"7", "soon", "-9", 7 * time.Second},
		{"", "99999", "", fetch.MaxWait},
	} {
		a, err := do(t, func(req *http.Request) (*http.Response, error) {
			return answer(req, 200, `{}`,
				"Retry-After", tt.retry, "X-Backoff", tt.backoff, "Backoff", tt.short), nil
		}, "")
		if err != nil || a.Wait() != tt.want {
			t.Errorf("%v: %v, %v", tt, a.Wait(), err)
		}
		// The longest wait also counts for an answer that cannot be used.
		e := fail(t, func(req *http.Request) (*http.Response, error) {
			return answer(req, 200, `garbage`,
				"Retry-After", tt.retry, "X-Backoff", tt.backoff, "Backoff", tt.short), nil
		})
		if e.RetryAfter() != tt.want {
			t.Errorf("%v: %v", tt, e.RetryAfter())
		}
	}
}

// A body that ignores the context of its request still ends with it.
func TestDeafBody_F5(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		e := fail(t, func(req *http.Request) (*http.Response, error) {
			resp := answer(req, 200, "")
			resp.Body = closer{readerFunc(func(p []byte) (int, error) {
				time.Sleep(999 * time.Millisecond)
				p[0] = ' '
				return 1, nil
			}), new(bool)}
			return resp, nil
		})
		if took := time.Since(start); took < fetch.Timeout || took > fetch.Timeout+time.Second {
			t.Errorf("%v after %v", e, took)
		}
	})
}
