package mac_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/internal/clock"
	"github.com/countersign-go/countersign/mac"
)

// memoryAt is a NonceMemory whose clock stands still.
type memoryAt struct {
	*auth.NonceMemory
	now time.Time
}

func (m memoryAt) Claim(ctx context.Context, id, nonce string, until time.Time) (bool, error) {
	return m.NonceMemory.Claim(clock.At(ctx, m.now), id, nonce, until)
}

// replay sends one request 1000 times from 64 goroutines, and returns how often each error
// occurred.
func replay(v *mac.Verifier, req *http.Request, now time.Time) map[error]int {
	var mu sync.Mutex
	var wg sync.WaitGroup
	var left atomic.Int64
	left.Store(1000)
	results := map[error]int{}
	for range 64 {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				_, err := v.AuthenticateAt(received(req), now)
				for _, sentinel := range []error{mac.ErrReplayed, auth.ErrUnavailable} {
					if errors.Is(err, sentinel) {
						err = sentinel
					}
				}
				mu.Lock()
				results[err]++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return results
}

// TestReplay_R1_R3 replays a request at once, and at both edges of the window, with every fraction
// of a second.
func TestReplay_R1_R3(t *testing.T) {
	for _, dated := range []time.Duration{0, -60 * time.Second, 60 * time.Second} {
		for _, fraction := range []time.Duration{0, 1, time.Second - 1} {
			v := &mac.Verifier{Keys: oneKey(testCreds)}
			req := newRequest(t, "GET", "http://example.com/")
			if err := (&mac.Signer{Source: testCreds}).Sign(req, testTime.Add(dated)); err != nil {
				t.Fatal(err)
			}
			got := replay(v, req, testTime.Add(fraction))
			if got[nil] != 1 || got[mac.ErrReplayed] != 999 {
				t.Errorf("dated %v, now+%v: %v", dated, fraction, got)
			}
			// Replay it in each half second of its life, and beyond.
			for at := time.Duration(0); at < 3*time.Minute; at += time.Second / 2 {
				if _, err := v.AuthenticateAt(received(req), testTime.Add(at)); err == nil {
					t.Fatalf("dated %v: accepted again after %v", dated, at)
				}
			}
		}
	}
}

// TestReplayRealClock is TestReplay with Authenticate itself and the clock of synctest.
func TestReplayRealClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &mac.Verifier{Keys: oneKey(testCreds), Nonces: new(auth.NonceMemory)}
		req := newRequest(t, "GET", "http://example.com/")
		s := &mac.Signer{Source: testCreds}
		if err := s.Sign(req, time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		accepted := 0
		for range 150 {
			if _, err := v.Authenticate(received(req)); err == nil {
				accepted++
			}
			time.Sleep(time.Second)
		}
		if accepted != 1 {
			t.Errorf("accepted %d times", accepted)
		}
	})
}

// TestReplayFull_R6 fills the memory. The answer is 503, for new requests only, until there is
// room.
func TestReplayFull_R6(t *testing.T) {
	for name, m := range map[string]*auth.NonceMemory{
		"in total": {Max: 50}, "of one id": {MaxPerID: 50},
	} {
		v := &mac.Verifier{Keys: oneKey(testCreds), Nonces: memoryAt{m, testTime}}
		var first *http.Request
		for i := range 50 {
			req := signedAt(t, testCreds, "1336363200", strconv.Itoa(i))
			if first == nil {
				first = req
			}
			if _, err := v.AuthenticateAt(req, testTime); err != nil {
				t.Fatal(err)
			}
		}
		// A replay is still detected: nothing was dropped for the new requests.
		req := signedAt(t, testCreds, "1336363200", "new")
		if got := replay(v, req, testTime); got[auth.ErrUnavailable] != 1000 {
			t.Errorf("full %s: %v", name, got)
		}
		if got := replay(v, first, testTime); got[mac.ErrReplayed] != 1000 {
			t.Errorf("full %s, replayed: %v", name, got)
		}
		_, err := v.AuthenticateAt(req, testTime)
		var retry interface{ RetryAfter() time.Duration }
		if !errors.As(err, &retry) || retry.RetryAfter().Truncate(10*time.Second) != time.Minute {
			t.Fatalf("full %s: %v has no good RetryAfter", name, err)
		}
		other := &mac.Credentials{ID: "other", Key: []byte("k")}
		v.Keys = oneKey(other)
		_, err = v.AuthenticateAt(signedAt(t, other, "1336363200", "n"), testTime)
		if (err == nil) != (m.Max == 0) {
			t.Errorf("full %s, another id: %v", name, err)
		}
		// After RetryAfter there is room.
		later := testTime.Add(retry.RetryAfter())
		v.Nonces, v.Keys = memoryAt{m, later}, oneKey(testCreds)
		req = signedAt(t, testCreds, strconv.FormatInt(later.Unix(), 10), "new")
		if got := replay(v, req, later); got[nil] != 1 || got[mac.ErrReplayed] != 999 {
			t.Errorf("full %s, later: %v", name, got)
		}
	}
}

// TestClockSteps_R10 sets the server's clock back and forth between copies of one request.
func TestClockSteps_R10(t *testing.T) {
	for _, steps := range [][]time.Duration{
		{0, -time.Second, 0}, {0, -30 * time.Second}, {0, -61 * time.Second, 0},
		{0, -time.Hour, -time.Minute, 0},
		{0, time.Hour, 0}, {0, 62 * time.Second, 61 * time.Second, 60 * time.Second, 0},
		{0, 24 * time.Hour, 0, 24 * time.Hour}, {0, 61 * time.Second, -time.Hour, 59 * time.Second},
	} {
		v := &mac.Verifier{Keys: oneKey(testCreds)}
		req := newRequest(t, "GET", "http://example.com/")
		if err := (&mac.Signer{Source: testCreds}).Sign(req, testTime); err != nil {
			t.Fatal(err)
		}
		for i, step := range steps {
			_, err := v.AuthenticateAt(received(req), testTime.Add(step))
			if (err == nil) != (i == 0) {
				t.Errorf("%v, step %d: %v", steps, i, err)
			}
		}
	}
	// A new request after a step back is decided, unless the nonces of its time are forgotten.
	for step, want := range map[time.Duration]error{
		0: nil, -time.Minute: nil, -2 * time.Minute: auth.ErrUnavailable,
		-5 * time.Minute: auth.ErrUnavailable, -24 * time.Hour: nil,
	} {
		v := &mac.Verifier{Keys: oneKey(testCreds)}
		at := testTime
		for i := range 600 {
			req := signedAt(t, testCreds, strconv.FormatInt(at.Unix(), 10), strconv.Itoa(i))
			if _, err := v.AuthenticateAt(req, at); err != nil {
				t.Fatal(err)
			}
			at = at.Add(time.Second)
		}
		now := at.Add(step)
		req := signedAt(t, testCreds, strconv.FormatInt(now.Unix(), 10), "b")
		_, err := v.AuthenticateAt(req, now)
		if !errors.Is(err, want) {
			t.Errorf("set back by %v: %v, want %v", step, err, want)
		}
		var retry interface{ RetryAfter() time.Duration }
		if want == nil {
			continue
		}
		if !errors.As(err, &retry) {
			t.Fatalf("set back by %v: %v has no RetryAfter", step, err)
		}
		if wait := retry.RetryAfter() + step; wait > -time.Minute || wait < -70*time.Second {
			t.Errorf("set back by %v: RetryAfter %v", step, retry.RetryAfter())
		}
	}
}

// TestRestart_R2 restarts a process with an empty memory.
func TestRestart_R2(t *testing.T) {
	sign := func(dated time.Duration) *http.Request {
		req := newRequest(t, "GET", "http://example.com/")
		if err := (&mac.Signer{Source: testCreds}).Sign(req, testTime.Add(dated)); err != nil {
			t.Fatal(err)
		}
		return req
	}
	tests := []struct {
		dated, notBefore, now time.Duration
		wait                  time.Duration // of the 503; 0 if accepted
	}{
		{-30 * time.Second, 0, 0, 31 * time.Second},
		{-time.Second, 0, 0, 2 * time.Second},
		{0, 0, 0, time.Second}, // captured in the same second as the restart
		{0, time.Second - 1, time.Second - 1, time.Second},
		{time.Second, 0, time.Second, 0},
		{time.Second, 0, 0, 0}, // dated ahead: these need a later NotBefore
		{0, time.Minute, 0, 61 * time.Second},
		{time.Minute, time.Minute, 0, time.Second},
		{61 * time.Second, time.Minute, 61 * time.Second, 0},
	}
	for _, test := range tests {
		v := &mac.Verifier{Keys: oneKey(testCreds), NotBefore: testTime.Add(test.notBefore)}
		_, err := v.AuthenticateAt(received(sign(test.dated)), testTime.Add(test.now))
		if test.wait == 0 {
			if err != nil {
				t.Errorf("%+v: %v", test, err)
			}
			continue
		}
		var why interface{ RetryAfter() time.Duration }
		if !errors.Is(err, auth.ErrUnavailable) || !errors.As(err, &why) ||
			why.RetryAfter() != test.wait || !strings.Contains(err.Error(), "NotBefore") {
			t.Errorf("%+v: %v", test, err)
			continue
		}
		// The same client, with the same clock, waits for that time.
		_, err = v.AuthenticateAt(received(sign(test.dated+test.wait)),
			testTime.Add(test.now+test.wait))
		if err != nil {
			t.Errorf("%+v: after the wait: %v", test, err)
		}
	}
	// After a restart, no request that was accepted before it is accepted again, if NotBefore is
	// the start and the clients' clocks are right, or if NotBefore is the start plus the window.
	for _, ahead := range []time.Duration{0, time.Minute} {
		before := &mac.Verifier{Keys: oneKey(testCreds)}
		after := &mac.Verifier{Keys: oneKey(testCreds), NotBefore: testTime.Add(ahead)}
		for second := -90; second <= 0; second++ {
			at := time.Duration(second) * time.Second
			req := sign(at + ahead)
			if _, err := before.AuthenticateAt(received(req), testTime.Add(at)); err != nil {
				t.Fatal(err)
			}
			for later := range 130 {
				now := testTime.Add(time.Duration(later) * time.Second)
				if _, err := after.AuthenticateAt(received(req), now); err == nil {
					t.Errorf("NotBefore %v after the start: dated %v, accepted again %d s after it",
						ahead, at+ahead, later)
				}
			}
		}
	}
}

// TestNotBeforeTeachesNoClock sends requests from a client with a right clock and from one with a
// wrong clock, in the first second of a service. The first client is not told another time, and the
// second is told the right time.
func TestNotBeforeTeachesNoClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &mac.Verifier{Keys: oneKey(testCreds), NotBefore: time.Now()}
		guarded := auth.Require(http.NotFoundHandler(), v)
		ask := func(signed time.Time) *httptest.ResponseRecorder {
			req := newRequest(t, "GET", "http://example.com/")
			if err := (&mac.Signer{Source: testCreds}).Sign(req, signed); err != nil {
				t.Fatal(err)
			}
			w := httptest.NewRecorder()
			guarded.ServeHTTP(w, received(req))
			return w
		}
		w := ask(time.Now())
		if w.Code != 503 || w.Header().Get("Retry-After") != "1" ||
			w.Header().Get("WWW-Authenticate") != "" {
			t.Errorf("a right clock: %d, %v", w.Code, w.Header())
		}
		w = ask(time.Now().Add(-time.Hour))
		want := `MAC error="stale", ts="` + strconv.FormatInt(time.Now().Unix(), 10) + `"`
		if got := w.Header().Get("WWW-Authenticate"); w.Code != 401 || got != want {
			t.Errorf("a wrong clock: %d, %s", w.Code, got)
		}
		time.Sleep(time.Second)
		if w := ask(time.Now()); w.Code != 404 {
			t.Errorf("after the wait: %d", w.Code)
		}
	})
}

// TestUntil checks that a store keeps a nonce as long as its timestamp can pass.
func TestUntil(t *testing.T) {
	for _, window := range []time.Duration{0, time.Second, time.Hour} {
		life := window
		if life == 0 {
			life = time.Minute
		}
		var until time.Time
		v := &mac.Verifier{Keys: oneKey(testCreds), Window: window,
			Nonces: nonceFunc(func(id, nonce string, u time.Time) (bool, error) {
				if id != testCreds.ID || nonce != "n" {
					t.Errorf("claimed %q for %q", nonce, id)
				}
				until = u
				return true, nil
			})}
		req := signedAt(t, testCreds, "1336363200", "n")
		if _, err := v.AuthenticateAt(req, testTime.Add(-life)); err != nil {
			t.Fatal(err)
		}
		if _, err := v.AuthenticateAt(req, until.Add(-time.Second-1)); err != nil {
			t.Errorf("window %v: stale %v before the end", window, err)
		}
		if _, err := v.AuthenticateAt(req, until.Add(-time.Second)); !errors.Is(err, mac.ErrStale) {
			t.Errorf("window %v: %v a second before the nonce may be forgotten", window, err)
		}
	}
}
