package provision_test

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/mac"
	"github.com/countersign-go/countersign/provision"
	"github.com/countersign-go/countersign/transport"
)

// skewed is a service and its endpoint, whose clock differs from this machine's. It records the
// outcome of each request to either.
type skewed struct {
	offset   time.Duration
	strict   bool // the endpoint also needs a request signed by its clock
	quiet    bool // refusals do not tell the time
	provided int
	statuses []int
}

func (s *skewed) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	there := time.Now().Add(s.offset)
	w.Header().Set("Date", there.UTC().Format(http.TimeFormat))
	provisions := req.URL.Path == "/provision"
	if !provisions || s.strict {
		_, rest, _ := strings.Cut(req.Header.Get("Authorization"), `ts="`)
		text, _, _ := strings.Cut(rest, `"`)
		var ts int64
		_, err := fmt.Sscan(text, &ts)
		if err != nil || there.Sub(time.Unix(ts, 0)).Abs() > time.Minute {
			s.statuses = append(s.statuses, 401)
			w.Header().Set("WWW-Authenticate", "MAC")
			if s.quiet {
				w.Header()["Date"] = nil
			}
			w.WriteHeader(401)
			return
		}
	}
	s.statuses = append(s.statuses, 200)
	if !provisions {
		return
	}
	s.provided++
	fmt.Fprintf(w, `{"id":"id%d","key":"k","expires":%d}`, s.provided, there.Unix()+3600)
}

// start runs a script that makes calls, all of which must succeed.
func (s *skewed) start(t *testing.T, store creds.Store, clock *transport.Clock, calls int) {
	t.Helper()
	net := direct{s}
	source := &provision.Client{URL: endpoint, HTTP: &http.Client{Transport: net},
		Name: "script", Store: store, Clock: clock}
	if s.strict {
		source.Signer = &mac.Signer{Source: &mac.Credentials{ID: "long-lived", Key: []byte("k")}}
	}
	client := &http.Client{Transport: &transport.Transport{
		Signer: &mac.Signer{Source: source}, Base: net, Clock: clock,
	}}
	for range calls {
		resp, err := client.Get("https://api.example/")
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if resp.StatusCode != 200 {
			t.Fatalf("status %d: %v", resp.StatusCode, transport.History(resp))
		}
	}
}

// An offset that the clock has learned is in the record before the call that taught it returns.
func TestOffsetIsStored(t *testing.T) {
	for _, strict := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s, store := &skewed{offset: time.Hour, strict: strict}, newMemory()
			start := time.Now()
			s.start(t, store, new(transport.Clock), 1)
			if took := time.Since(start); took != 0 {
				t.Errorf("strict %t: took %v, waiting for itself", strict, took)
			}
			_, record := store.only(t)
			for origin, known := range map[string]bool{
				"https://api.example:443": true, "https://user.example:443": strict,
			} {
				// Of a whole second, the Clock learns the middle.
				if got := strings.Contains(record, `"`+origin+`":3600500`); got != known {
					t.Errorf("strict %t: %s in the record: %t, want %t\n%s",
						strict, origin, got, known, record)
				}
			}
		})
	}
}

// Only some origins are remembered, as other parties may choose them. The latest is among them.
func TestOffsetsOfManyOrigins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, store := &skewed{offset: time.Hour}, newMemory()
		net, clock := direct{s}, new(transport.Clock)
		source := &provision.Client{URL: endpoint, HTTP: &http.Client{Transport: net},
			Name: "script", Store: store, Clock: clock}
		client := &http.Client{Transport: &transport.Transport{
			Signer: &mac.Signer{Source: source}, Base: net, Clock: clock,
		}}
		for i := range 100 {
			host := fmt.Sprintf("https://host%d.example", i)
			resp, err := client.Get(host)
			if err != nil || resp.StatusCode != 200 {
				t.Fatal(resp, err)
			}
			resp.Body.Close()
			synctest.Wait()
			_, record := store.only(t)
			if !strings.Contains(record, `"`+host+`:443":3600500`) {
				t.Fatalf("%s is not in the record\n%s", host, record)
			}
			if n := strings.Count(record, "https://host"); n > 16 {
				t.Fatalf("%d origins are in the record", n)
			}
		}
	})
}

// The user's own hook is still called.
func TestUsersMovedIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, store := &skewed{offset: time.Hour}, newMemory()
		var heard []string
		clock := &transport.Clock{Moved: func(u *url.URL, offset time.Duration) {
			heard = append(heard, fmt.Sprint(u, " ", offset))
		}}
		s.start(t, store, clock, 3)
		if fmt.Sprint(heard) != "[https://api.example 1h0m0.5s]" {
			t.Errorf("heard %v", heard)
		}
	})
}

// The offset is restored if the process has learned none, and is part of the next record too.
func TestOffsetIsRestored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, store := &skewed{offset: -24 * time.Hour}, newMemory()
		s.start(t, store, new(transport.Clock), 1)
		_, before := store.only(t)
		api, _ := url.Parse("https://api.example/")
		off := func(c *transport.Clock) time.Duration {
			return time.Until(c.Now(api)).Round(time.Second)
		}
		clock, fresh := new(transport.Clock), &mint{lifetime: time.Hour}
		c := fresh.client(store)
		c.Signer, c.Name, c.Clock = nil, "script", clock
		wantID(t, c, "id1")
		if got := off(clock); (got+24*time.Hour).Abs() > time.Second || fresh.called() != 0 {
			t.Errorf("off by %v, after %d calls", got, fresh.called())
		}

		time.Sleep(2 * time.Hour) // the credentials have ended, the offset is still good
		clock = new(transport.Clock)
		c = fresh.client(store)
		c.Signer, c.Name, c.Clock = nil, "script", clock
		wantID(t, c, "id1")
		if got := off(clock); (got+24*time.Hour).Abs() > time.Second || fresh.called() != 1 {
			t.Errorf("off by %v, after %d calls", got, fresh.called())
		}
		_, after := store.only(t)
		_, offsets, _ := strings.Cut(before, "offsets_ms")
		if before == after || !strings.HasSuffix(after, offsets) {
			t.Errorf("%s\nbecame %s", before, after)
		}

		learned := new(transport.Clock)
		learned.Set(api, 5*time.Minute)
		c = fresh.client(store)
		c.Signer, c.Name, c.Clock = nil, "script", learned
		wantID(t, c, "id1")
		if got := off(learned); got != 5*time.Minute {
			t.Errorf("what was learned here became %v", got)
		}
	})
}

// If the Store fails, a call whose clock was corrected still succeeds, and soon.
func TestOffsetAndStoreTrouble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, store := &skewed{offset: time.Hour}, newMemory()
		s.start(t, store, new(transport.Clock), 1)
		s.offset = 2 * time.Hour
		store.lock <- struct{}{} // another process holds it permanently
		start := time.Now()
		s.start(t, store, new(transport.Clock), 1)
		if took := time.Since(start); took > 100*time.Millisecond {
			t.Errorf("took %v", took)
		}
		time.Sleep(time.Minute) // until the update in the background has given up
	})
}

// A stored offset that no longer holds costs one refusal, once. The next script starts with the
// time of this machine, even if the service does not tell its own.
func TestOffsetNoLongerHolds(t *testing.T) {
	for _, quiet := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s, store := &skewed{offset: time.Hour}, newMemory()
			s.start(t, store, new(transport.Clock), 1)
			s.offset, s.quiet, s.statuses = 0, quiet, nil
			for range 3 {
				s.start(t, store, new(transport.Clock), 2)
			}
			if fmt.Sprint(s.statuses) != "[401 200 200 200 200 200 200]" || s.provided != 1 {
				t.Errorf("quiet %t: %v, provided %d times", quiet, s.statuses, s.provided)
			}
		})
	}
}

// A script that starts again makes no call for credentials and is not refused, however wrong the
// clock.
func TestSecondStartIsWarm(t *testing.T) {
	for _, strict := range []bool{false, true} {
		for _, offset := range []time.Duration{0, time.Hour, -time.Hour, 24 * time.Hour} {
			synctest.Test(t, func(t *testing.T) {
				s, store := &skewed{offset: offset, strict: strict}, newMemory()
				s.start(t, store, new(transport.Clock), 1)
				s.statuses = nil
				time.Sleep(10 * time.Minute)
				s.start(t, store, new(transport.Clock), 2)
				if fmt.Sprint(s.statuses) != "[200 200]" || s.provided != 1 {
					t.Errorf("%v, strict %t: %v, provided %d times",
						offset, strict, s.statuses, s.provided)
				}
			})
		}
	}
}
