package bearer_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/oauth2"

	"github.com/countersign-go/countersign/bearer"
	"github.com/countersign-go/countersign/creds"
)

// Eight processes share a refresh token that is valid for one use, with one call each time for all.
func TestProcessesShareRefreshToken_K13(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, store := newRotation(), newMemory()
		var processes []*bearer.Tokens
		for range 8 {
			processes = append(processes, server.tokens(store))
		}
		for round := 1; round <= 5; round++ {
			var all sync.WaitGroup
			for _, p := range processes {
				all.Go(func() { wantToken(t, p, fmt.Sprint("token", round)) })
			}
			all.Wait()
			if got := server.called(); got != round {
				t.Errorf("round %d: %d calls", round, got)
			}
			time.Sleep(time.Hour)
		}
		if store.writes != 5 {
			t.Errorf("%d writes", store.writes)
		}
	})
}

// The processes also renew the token before it expires, with one call for all.
func TestProcessesRenew_K13(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, store := newRotation(), newMemory()
		var all sync.WaitGroup
		for range 8 {
			p := server.tokens(store)
			all.Go(func() {
				for range 3 * 60 * 60 {
					if _, err := p.Credentials(t.Context()); err != nil {
						t.Error(err)
						return
					}
					time.Sleep(time.Second)
				}
			})
		}
		all.Wait()
		if got := server.called(); got != 4 {
			t.Errorf("%d calls in three hours, want 4", got)
		}
	})
}

// A token that a server refused to one process is replaced for all, and the next process starts
// with the new one.
func TestProcessesRefused_K13(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, store := newRotation(), newMemory()
		a, b := server.tokens(store), server.tokens(store)
		wantToken(t, a, "token1")
		wantToken(t, b, "token1")
		a.Reject(is("token1"), nil)
		wantToken(t, a, "token2")
		b.Reject(is("token1"), nil)
		start := time.Now()
		wantToken(t, b, "token2")
		wantToken(t, server.tokens(store), "token2")
		if server.called() != 2 || time.Since(start) != 0 {
			t.Errorf("%d calls, want 2", server.called())
		}
	})
}

// A new refresh token is stored before any caller gets the token that came with it.
func TestRotatedTokenStoredFirst_K11(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, store := newRotation(), newMemory()
		p := server.tokens(store)
		p.Fetched = func(*oauth2.Token) {
			if !strings.Contains(store.text(), `"refresh1"`) {
				t.Error("it is not stored yet")
			}
		}
		wantToken(t, p, "token1")
		if store.name != "bearer-ann" {
			t.Errorf("the record is called %q", store.name)
		}
		want := fmt.Sprintf(`{"version":1,"kind":"bearer","serial":%d,`+
			`"seed":"951ebf2a6d6ecaed5e0f5becb06d1028","access_token":"token1",`+
			`"refresh_token":"refresh1","saved":%[1]d,"expires":%d}`,
			time.Now().UnixMilli(), time.Now().Add(time.Hour).UnixMilli())
		if got := store.text(); got != want {
			t.Errorf("the record is\n%s, want\n%s", got, want)
		}
	})
}

// The refresh token is not lost either if the token has expired on arrival, or Fetched panics.
func TestRotatedTokenStoredThoughUseless(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, store := newRotation(), newMemory()
		server.lifetime = -time.Second
		if _, err := server.tokens(store).Credentials(t.Context()); !errors.Is(err,
			creds.ErrExpired) {
			t.Fatalf("got %v", err)
		}
		server.lifetime = time.Hour
		p := server.tokens(store)
		p.Fetched = func(*oauth2.Token) { panic("the disk is full") }
		if _, err := p.Credentials(t.Context()); err == nil {
			t.Fatal("a panic is no failure")
		}
		p.Fetched = nil
		time.Sleep(time.Hour)
		wantToken(t, p, "token3")
		if server.theft {
			t.Error("a refresh token was used twice")
		}
	})
}

// A process that begins with a token of a new login does not get the stored tokens of the old one.
// A process that begins with no token uses the stored one.
func TestStoredOfAnotherLogin_K16(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, store := newRotation(), newMemory()
		wantToken(t, server.tokens(store), "token1")

		later := server.tokens(store)
		later.Token = nil
		wantToken(t, later, "token1")
		time.Sleep(time.Hour)
		wantToken(t, later, "token2")
		wantToken(t, server.tokens(store), "token2") // the record still has the seed

		again := &oauth2.Token{RefreshToken: "refresh2"} // the one in the record
		same := server.tokens(store)
		same.Token = again
		wantToken(t, same, "token2")

		anew := server.tokens(store)
		anew.Token = &oauth2.Token{RefreshToken: "new login"}
		server.next = "new login"
		wantToken(t, anew, "token3")
		later = server.tokens(store)
		later.Token = nil
		wantToken(t, later, "token3")
		if server.theft {
			t.Error("a refresh token was used twice")
		}
	})
}

// A clock that was set back does not make an old token look newer.
func TestStoredWithClockSetBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, store := newRotation(), newMemory()
		future := time.Now().Add(24 * time.Hour).UnixMilli()
		store.set(fmt.Sprintf(`{"version":1,"kind":"bearer","serial":%d,"access_token":"token9",`+
			`"refresh_token":"refresh0","saved":%[1]d,"expires":%d}`, future, future+3600_000))
		a, b := server.tokens(store), server.tokens(store)
		wantToken(t, a, "token9")
		wantToken(t, b, "token9")
		time.Sleep(time.Hour) // the token lasts no longer than when it was stored
		wantToken(t, a, "token1")
		wantToken(t, b, "token1")
		if server.called() != 1 {
			t.Errorf("%d calls", server.called())
		}
	})
}

// Trouble with the Store fails no call, and is logged.
func TestStoreTrouble(t *testing.T) {
	const foreign = "is not one of bearer.Tokens"
	for _, test := range []struct {
		name  string
		spoil func(*memory)
		say   string
	}{
		{"no read", func(m *memory) { m.noLoad = errors.New("bad disk") }, "bad disk"},
		{"no update", func(m *memory) { m.noUpdate = errors.New("bad disk") }, "bad disk"},
		{"no write", func(m *memory) { m.noWrite = errors.New("bad disk") }, "bad disk"},
		{"no JSON", func(m *memory) { m.set("canary-garbage") }, foreign},
		{"another's", func(m *memory) { m.set(`{"version":1,"owner":"a"}`) }, foreign},
		{"no token", func(m *memory) { m.set(`{"version":1,"kind":"bearer"}`) }, foreign},
		{"one member more", func(m *memory) {
			m.set(`{"version":1,"kind":"bearer","serial":1,"access_token":"a","saved":1,"b":1}`)
		}, foreign},
		{"a member of another type", func(m *memory) {
			m.set(`{"version":1,"kind":"bearer","serial":1,"access_token":"a","saved":"1"}`)
		}, foreign},
		{"newer", func(m *memory) { m.set(`{"version":2,"kind":"bearer"}`) }, "newer version"},
		{"a serial that nothing comes after", func(m *memory) {
			m.set(`{"version":1,"kind":"bearer","serial":9223372036854775807,` +
				`"access_token":"a","saved":1}`)
		}, foreign},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server, store := newRotation(), newMemory()
				test.spoil(store)
				log := new(journal)
				p := server.tokens(store)
				p.Logger = log.logger()
				wantToken(t, p, "token1")
				time.Sleep(time.Hour)
				wantToken(t, p, "token2")
				if n := strings.Count(log.String(), "the store failed"); n < 1 || n > 2 {
					t.Errorf("%d records for 2 fetches: %s", n, log)
				}
				if text := log.String(); !strings.Contains(text, test.say) ||
					strings.Contains(text, "refresh0") || strings.Contains(text, "garbage") {
					t.Errorf("the log says %q, want %q", text, test.say)
				}
			})
		})
	}
}

// If another process never ends its update, a refresh token that it may be using is not used again,
// and the token that it stores is found. Without a refresh token there is nothing to lose.
func TestStoreHeld_K13(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, store, log := newRotation(), newMemory(), new(journal)
		server.latency = 25 * time.Second
		a, b := server.tokens(store), server.tokens(store)
		b.Logger = log.logger()
		go func() { _, _ = a.Credentials(t.Context()) }()
		synctest.Wait()
		start := time.Now()
		_, err := b.Credentials(t.Context())
		if err == nil || !strings.Contains(err.Error(), "another process") ||
			time.Since(start) != 20*time.Second {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		if !strings.Contains(log.String(), "others held it for too long") {
			t.Errorf("the log says %q", log)
		}
		time.Sleep(time.Second) // the back-off is short
		wantToken(t, b, "token1")
		if time.Since(start) > 25*time.Second || server.called() != 1 {
			t.Errorf("after %v and %d calls", time.Since(start), server.called())
		}
		synctest.Wait() // a has the token too
		server.latency = time.Second
		a.Reject(is("token1"), nil)
		wantToken(t, a, "token2")
		if server.theft {
			t.Error("a refresh token was used twice")
		}

		store.lock <- struct{}{}
		c := &bearer.Tokens{Fetch: (&endpoint{}).fetch, Store: &memory{lock: store.lock}, Name: "c"}
		wantToken(t, c, "token1")
		<-store.lock
	})
}

// A valid token is used while another process takes too long to renew it.
func TestStoreHeldWhileGood_K13(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, store := newRotation(), newMemory()
		p := server.tokens(store)
		wantToken(t, p, "token1")
		store.lock <- struct{}{}
		for end := time.Now().Add(time.Hour - 2*time.Second); time.Now().Before(end); {
			wantToken(t, p, "token1")
			time.Sleep(time.Second)
		}
		<-store.lock
		synctest.Wait()
		time.Sleep(time.Minute)
		if _, err := p.Credentials(t.Context()); err != nil || server.theft {
			t.Errorf("%v, a refresh token used twice: %v", err, server.theft)
		}
	})
}

// A record that was written with the clock as far ahead as possible is replaced like any other.
func TestStoredOfLastSerial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, store, log := newRotation(), newMemory(), new(journal)
		store.set(`{"version":1,"kind":"bearer","serial":253402300799999,"access_token":"token9",` +
			`"refresh_token":"refresh0","saved":1}`)
		p := server.tokens(store)
		p.Logger = log.logger()
		wantToken(t, p, "token9")
		p.Reject(is("token9"), nil)
		wantToken(t, p, "token1")
		wantToken(t, server.tokens(store), "token1")
		if text := store.text(); !strings.Contains(text, `"serial":253402300800000`) ||
			log.String() != "" {
			t.Errorf("the record is %s, the log says %q", text, log)
		}
	})
}

// If another process overwrites the record with an older token, that token is not used again.
func TestStoredOlder_F12(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, store := newRotation(), newMemory()
		p := server.tokens(store)
		wantToken(t, p, "token1")
		old := store.text()
		p.Reject(is("token1"), nil)
		wantToken(t, p, "token2")
		store.set(old)
		p.Confirm(is("token2"))
		p.Reject(is("token2"), nil)
		wantToken(t, p, "token3")
		if server.theft {
			t.Error("the old refresh token was used")
		}
	})
}

// A record of another process with the same token that was refused does not help.
func TestStoredSame_F2(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, store := newRotation(), newMemory()
		a, b := server.tokens(store), server.tokens(store)
		wantToken(t, a, "token1")
		wantToken(t, b, "token1")
		b.Replace(is("token1"), &oauth2.Token{
			AccessToken: "token1", Expiry: time.Now().Add(24 * time.Hour)})
		synctest.Wait()
		if store.writes != 2 {
			t.Fatalf("%d writes", store.writes)
		}
		a.Reject(is("token1"), nil)
		wantToken(t, a, "token2")
	})
}

// A token that a server sent unasked does not replace a newer record of another process.
func TestReissuedLateToStore_F12(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, store := newRotation(), newMemory()
		p := server.tokens(store)
		wantToken(t, p, "token1")
		store.lock <- struct{}{} // another process is at work
		p.Replace(is("token1"), &oauth2.Token{AccessToken: "sent"})
		synctest.Wait()
		newer := fmt.Sprintf(`{"version":1,"kind":"bearer","serial":%d,"access_token":"token9",`+
			`"refresh_token":"refresh0","saved":1}`, time.Now().UnixMilli()+1000)
		store.set(newer)
		<-store.lock
		synctest.Wait()
		if store.text() != newer {
			t.Errorf("the record is %s", store.text())
		}
		p.Reject(is("sent"), nil)
		wantToken(t, p, "token9")
	})
}

// A token that a server sent unasked to a process that is behind does not replace the refresh token
// that another process has stored. The used refresh token is not used again.
func TestReissuedBehindOthers_K13(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, store := newRotation(), newMemory()
		a, b := server.tokens(store), server.tokens(store)
		wantToken(t, a, "token1")
		wantToken(t, b, "token1")
		a.Reject(is("token1"), nil)
		wantToken(t, a, "token2")
		time.Sleep(time.Minute)
		b.Replace(is("token1"), &oauth2.Token{AccessToken: "sent"})
		synctest.Wait()
		wantToken(t, b, "sent")
		if !strings.Contains(store.text(), `"refresh2"`) {
			t.Errorf("the record is %s", store.text())
		}
		b.Reject(is("sent"), nil)
		wantToken(t, b, "token2")
		a.Confirm(is("token2"))
		a.Reject(is("token2"), nil)
		wantToken(t, a, "token3")
		if server.theft || server.called() != 3 {
			t.Errorf("%d calls, a refresh token used twice: %v", server.called(), server.theft)
		}
	})
}

// A token that cannot be sent is not stored, where it would block all processes.
func TestTooLongIsNotStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, long := newMemory(), 8<<10
		p := &bearer.Tokens{Store: store, Name: "ann",
			Fetch: func(context.Context, *oauth2.Token) (*oauth2.Token, error) {
				return &oauth2.Token{AccessToken: strings.Repeat("x", long)}, nil
			}}
		s := &bearer.Signer{Source: p}
		if err := s.Sign(newRequest(t, "https://a.example/"), time.Now()); err == nil ||
			store.writes != 0 {
			t.Errorf("%v after %d writes", err, store.writes)
		}
		time.Sleep(time.Minute)
		long = 8000
		if err := s.Sign(newRequest(t, "https://a.example/"), time.Now()); err != nil {
			t.Error(err)
		}
	})
}

func TestStoreNeedsName(t *testing.T) {
	p := newRotation().tokens(newMemory())
	p.Name = ""
	if _, err := p.Credentials(t.Context()); err == nil ||
		!strings.Contains(err.Error(), "need a Name") {
		t.Errorf("got %v", err)
	}
}

// A token that a server sent unasked is stored in the background. Of many, the last is stored at
// the end.
func TestReissuedIsStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, store := newRotation(), newMemory()
		p := server.tokens(store)
		wantToken(t, p, "token1")
		store.lock <- struct{}{} // another process is at work
		start := time.Now()
		for n := range 100 {
			last := fmt.Sprint("sent", n-1)
			if n == 0 {
				last = "token1"
			}
			p.Replace(is(last), &oauth2.Token{AccessToken: fmt.Sprint("sent", n)})
			synctest.Wait()
			wantToken(t, p, fmt.Sprint("sent", n))
		}
		if time.Since(start) != 0 {
			t.Error("somebody waited")
		}
		<-store.lock
		synctest.Wait()
		const last = `"sent99","refresh_token":"refresh1"`
		if store.writes > 3 || !strings.Contains(store.text(), last) {
			t.Errorf("after %d writes, the record is %s", store.writes, store.text())
		}
		wantToken(t, server.tokens(store), "sent99")
	})
}

// The same token replaces the current one only if it ends much later.
func TestReissuedSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, store := newRotation(), newMemory()
		p := server.tokens(store)
		first := wantToken(t, p, "token1")
		again := func(d time.Duration) {
			p.Replace(is("token1"), &oauth2.Token{AccessToken: "token1",
				Expiry: first.Expiry.Add(d)})
			synctest.Wait()
		}
		again(30 * time.Second)
		again(-30 * time.Second)
		p.Replace(is("token1"), &oauth2.Token{AccessToken: "token1"})
		p.Replace(is("token1"), &oauth2.Token{AccessToken: "two words"})
		p.Replace(is("token1"), nil)
		synctest.Wait()
		if got := wantToken(t, p, "token1"); got != first || store.writes != 1 {
			t.Errorf("it ends at %v after %d writes", got.Expiry, store.writes)
		}
		again(time.Hour)
		if got := wantToken(t, p, "token1"); got.Expiry.Sub(first.Expiry) != time.Hour ||
			store.writes != 2 {
			t.Errorf("it ends at %v after %d writes", got.Expiry, store.writes)
		}
	})
}

// hanging is a Store that never returns, even if the context ends.
type hanging struct{ done chan struct{} }

func (h hanging) Load(context.Context, string) ([]byte, error) {
	<-h.done
	return nil, creds.ErrNotFound
}

func (h hanging) Update(context.Context, string, func([]byte) ([]byte, error)) error {
	<-h.done
	return nil
}

func TestStoreHangs_F5(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, store := newRotation(), hanging{make(chan struct{})}
		p := server.tokens(store)
		start := time.Now()
		wantToken(t, p, "token1")
		if took := time.Since(start); took != 6*time.Second {
			t.Errorf("it took %v, want 5s for the Store and 1s for the call", took)
		}
		time.Sleep(time.Hour)
		start = time.Now()
		wantToken(t, p, "token2")
		if took := time.Since(start); took != time.Second {
			t.Errorf("it took %v, want that of the call alone", took)
		}
		p.Replace(is("token2"), &oauth2.Token{AccessToken: "sent"})
		synctest.Wait()
		wantToken(t, p, "sent")
		close(store.done)
		synctest.Wait()
	})
}
