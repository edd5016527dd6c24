package fetch_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-go/countersign/internal/fetch"
)

// The time of an answer is the one that its server says most exactly.
func TestDate(t *testing.T) {
	const date = "Sat, 01 Jan 2000 00:00:00 GMT"
	second := time.Unix
	tests := []struct {
		stamp, date, age string
		want             time.Time // zero: none
	}{
		{"", date, "", second(946684800, 5e8)},
		{"", date, "0", time.Time{}},
		{"", "", "", time.Time{}},
		{"", "yesterday", "", time.Time{}},
		{"1400000000", date, "", second(1400000000, 5e8)},
		{"1400000000", "", "", second(1400000000, 5e8)},
		{"1400000000", date, "7", time.Time{}},
		{"1400000000.25", date, "", second(1400000000, 25e7)},
		{"1400000000.0000000019", date, "", second(1400000000, 1)},
		{"1400000000.", date, "", second(1400000000, 0)},
		{"0", date, "", second(0, 5e8)},
		{"-1", date, "", second(946684800, 5e8)},
		{"+1", date, "", second(946684800, 5e8)},
		{"1.4e9", date, "", second(946684800, 5e8)},
		{"0x1p30", date, "", second(946684800, 5e8)},
		{"1400000000.x", date, "", second(946684800, 5e8)},
		{"1_400", date, "", second(946684800, 5e8)},
		{"99999999999999999999", date, "", second(946684800, 5e8)},
	}
	for _, tt := range tests {
		a := &fetch.Answer{Header: http.Header{"X-Timestamp": {tt.stamp}, "Date": {tt.date}}}
		if tt.age != "" {
			a.Header.Set("Age", tt.age)
		}
		got, ok := a.Date()
		if ok == tt.want.IsZero() || ok && !got.Equal(tt.want) {
			t.Errorf("%q, %q, %q: %v, %v", tt.stamp, tt.date, tt.age, got, ok)
		}
	}
}

// The longest of the three fields counts, with any status.
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
		// And so it does with an answer that is of no use.
		e := fail(t, func(req *http.Request) (*http.Response, error) {
			return answer(req, 200, `garbage`,
				"Retry-After", tt.retry, "X-Backoff", tt.backoff, "Backoff", tt.short), nil
		})
		if e.RetryAfter() != tt.want {
			t.Errorf("%v: %v", tt, e.RetryAfter())
		}
	}
}

// A body that does not heed the context of its request ends with it all the same.
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
