package provision_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-go/countersign/mac"
	"github.com/countersign-go/countersign/provision"
	"github.com/countersign-go/countersign/transport"
)

// With a full disk, the record keeps credentials that were refused long ago. They are not used
// again.
func TestRefusedIsNotTakenAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, m := newMemory(), &mint{lifetime: 24 * time.Hour}
		c := m.client(store)
		wantID(t, c, "id1")
		store.noWrite = errDisk
		for i := range 20 {
			time.Sleep(10 * time.Minute)
			rejects(c)
			wantID(t, c, fmt.Sprint("id", i+2))
		}
	})
}

// Refused credentials are not used either if another process, which does not know of the refusal,
// has stored them again.
func TestRefusedIsStoredAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, m := newMemory(), &mint{lifetime: 24 * time.Hour}
		c := m.client(store)
		wantID(t, c, "id1")
		name, old := store.only(t)
		saved := time.Now().Unix()
		time.Sleep(time.Minute)
		rejects(c)
		wantID(t, c, "id2")
		time.Sleep(time.Minute)
		store.records[name] = []byte(strings.Replace(old, fmt.Sprint(`"saved":`, saved),
			fmt.Sprint(`"saved":`, time.Now().Unix()), 1))
		rejects(c)
		wantID(t, c, "id3")
	})
}

// Credentials that were never refused are not used either if they are older than the current ones.
func TestOlderRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, m := newMemory(), &mint{lifetime: 24 * time.Hour}
		other := m.client(store)
		wantID(t, other, "id1")
		name, old := store.only(t)
		delete(store.records, name)
		time.Sleep(time.Minute)
		c := m.client(store)
		wantID(t, c, "id2")
		store.records[name] = []byte(old)
		rejects(c)
		wantID(t, c, "id3")
	})
}

// The Cache ignores a refusal if the credentials have just been replaced. They stay as good as
// before: credentials that end sooner do not replace them.
func TestUnheededRefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, m := newMemory(), &mint{lifetime: time.Hour}
		c := m.client(store)
		wantID(t, c, "id1")
		rejects(c)
		wantID(t, c, "id2")
		rejects(c) // within a second
		wantID(t, c, "id2")
		time.Sleep(59*time.Minute + 30*time.Second) // to be renewed
		name, text := store.only(t)
		now := time.Now().Unix()
		text = strings.Replace(text, `"id2"`, `"sooner"`, 1)
		text = strings.Replace(text, `"expires":946688400`, fmt.Sprint(`"expires":`, now+10), 1)
		text = strings.Replace(text, `"saved":946684800`, fmt.Sprint(`"saved":`, now), 1)
		store.records[name] = []byte(text)
		wantID(t, c, "id2") // starts the renewal
		synctest.Wait()
		wantID(t, c, "id3")
	})
}

// Refused credentials that the endpoint gives again after they have ended are as good as any:
// credentials that end sooner do not replace them.
func TestRefusedIsGivenAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newMemory()
		c := &provision.Client{URL: endpoint, Store: store,
			HTTP: says(200, `{"id":"a","key":"k","expires_in":3600}`)}
		wantID(t, c, "a")
		rejects(c)
		time.Sleep(time.Hour)
		wantID(t, c, "a")
		name, text := store.only(t)
		time.Sleep(59*time.Minute + 30*time.Second) // to be renewed
		now := time.Now().Unix()
		text = strings.Replace(text, `"a"`, `"sooner"`, 1)
		text = strings.Replace(text, `"expires":946692000`, fmt.Sprint(`"expires":`, now+10), 1)
		text = strings.Replace(text, `"saved":946688400`, fmt.Sprint(`"saved":`, now), 1)
		store.records[name] = []byte(text)
		wantID(t, c, "a") // starts the renewal
		synctest.Wait()
		wantID(t, c, "a")
	})
}

// Credentials for which the user's hook has failed do not count: the endpoint is asked again, even
// if it asked for a pause.
func TestFetchedPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		c := &provision.Client{URL: endpoint, Signer: ann(),
			HTTP: handlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				calls++
				w.Header().Set("X-Backoff", "300")
				fmt.Fprintf(w, `{"id":"id%d","key":"k","expires_in":3600}`, calls)
			})}
		first := true
		c.Fetched = func(*mac.Credentials) {
			if first {
				first = false
				panic("once")
			}
		}
		if _, err := c.Credentials(t.Context()); err == nil {
			t.Error("the first fetch succeeded")
		}
		time.Sleep(2 * time.Second)
		wantID(t, c, "id2")
	})
}

// busy makes a call that learns the time while another process holds the lock of the record.
func busy(t *testing.T, store *memory, clients int) time.Duration {
	t.Helper()
	clock, s := new(transport.Clock), new(skewed)
	var source *provision.Client
	for range clients {
		source = &provision.Client{URL: endpoint, HTTP: &http.Client{Transport: direct{s}},
			Store: store, Clock: clock}
		if _, err := source.Credentials(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	store.lock <- struct{}{}
	s.offset = time.Hour
	client := &http.Client{Transport: &transport.Transport{
		Signer: &mac.Signer{Source: source}, Base: direct{s}, Clock: clock,
	}}
	start := time.Now()
	resp, err := client.Get("https://api.example/")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 200 {
		t.Errorf("status %d", resp.StatusCode)
	}
	return time.Since(start)
}

// An answer waits only a moment for the offset to be stored, however many Clients share the Clock.
// The offset is stored when that is possible.
func TestOffsetDoesNotDelay(t *testing.T) {
	for _, clients := range []int{1, 20} {
		synctest.Test(t, func(t *testing.T) {
			store := newMemory()
			if took := busy(t, store, clients); took > 100*time.Millisecond {
				t.Errorf("%d clients: took %v", clients, took)
			}
			time.Sleep(5 * time.Second)
			<-store.lock
			synctest.Wait()
			const offset = `"https://api.example:443":36005`
			if _, text := store.only(t); !strings.Contains(text, offset) {
				t.Errorf("%d clients: %s", clients, text)
			}
			if store.writes != 1+clients {
				t.Errorf("%d clients: %d writes", clients, store.writes)
			}
		})
	}
}

// A Store that hangs with an offset, and ignores its context, does not delay a later fetch.
func TestHungOffset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, clock, store := new(skewed), new(transport.Clock), &stuck{memory: newMemory()}
		source := &provision.Client{URL: endpoint, HTTP: &http.Client{Transport: direct{s}},
			Store: store, Clock: clock}
		client := &http.Client{Transport: &transport.Transport{
			Signer: &mac.Signer{Source: source}, Base: direct{s}, Clock: clock,
		}}
		wantID(t, source, "id1")
		store.write, store.hang = true, 2*time.Hour
		s.offset = time.Hour
		start := time.Now()
		if resp, err := client.Get("https://api.example/"); err != nil {
			t.Error(err)
		} else {
			resp.Body.Close()
		}
		if took := time.Since(start); took != 100*time.Millisecond {
			t.Errorf("the call took %v", took)
		}
		time.Sleep(time.Hour)
		start = time.Now()
		wantID(t, source, "id2")
		if took := time.Since(start); took != 0 {
			t.Errorf("the fetch took %v", took)
		}
		time.Sleep(2 * time.Hour)
	})
}

// Clients that share a Clock and a record do not wait for each other if the call of one of them,
// which holds the lock, teaches the Clock.
func TestSharedClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, s, clock := newMemory(), &skewed{strict: true}, new(transport.Clock)
		var clients []*provision.Client
		for range 20 {
			c := &provision.Client{URL: endpoint, HTTP: &http.Client{Transport: direct{s}},
				Name: "shared", Store: store, Clock: clock, Signer: &mac.Signer{
					Source: &mac.Credentials{ID: "long-lived", Key: []byte("k")}}}
			if _, err := c.Credentials(t.Context()); err != nil {
				t.Fatal(err)
			}
			clients = append(clients, c)
		}
		s.offset = time.Hour
		time.Sleep(61 * time.Minute)
		start := time.Now()
		if _, err := clients[0].Credentials(t.Context()); err != nil {
			t.Error(err)
		}
		if took := time.Since(start); took > 100*time.Millisecond {
			t.Errorf("took %v", took)
		}
		time.Sleep(time.Minute)
	})
}
