package provision_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-go/countersign/basic"
	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/mac"
	"github.com/countersign-go/countersign/provision"
	"github.com/countersign-go/countersign/transport"
)

// A script that starts again uses the credentials of the one before it.
func TestSecondStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, m := newMemory(), &mint{lifetime: time.Hour}
		m.extra = `,"api_endpoint":"https://a.example/1"`
		first := wantID(t, m.client(store), "id1")
		time.Sleep(20 * time.Minute)
		c := m.client(store)
		second := wantID(t, c, "id1")
		if !same(first, second) || time.Until(second.Expires) != 40*time.Minute {
			t.Errorf("the second start has %+v, the first had %+v", second, first)
		}
		if at, err := c.Endpoint(t.Context()); at != "https://a.example/1" || err != nil {
			t.Errorf("endpoint %q, %v", at, err)
		}
		if m.called() != 1 || store.writes != 1 {
			t.Errorf("%d calls, %d writes", m.called(), store.writes)
		}
		time.Sleep(40 * time.Minute)
		wantID(t, m.client(store), "id2")
		wantID(t, m.client(store), "id2")
	})
}

// Credentials without an end are stored too.
func TestSecondStartWithoutEnd(t *testing.T) {
	store := newMemory()
	for range 2 {
		c := &provision.Client{URL: endpoint, Store: store, HTTP: says(200, `{"id":"a","key":"k"}`)}
		if got, err := c.Credentials(t.Context()); err != nil || !got.Expires.IsZero() {
			t.Error(got, err)
		}
		if store.writes != 1 {
			t.Errorf("%d writes", store.writes)
		}
	}
}

// Of processes that start at once, with an expired record or none, one makes the call.
func TestManyStarts_K13(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, m := newMemory(), &mint{lifetime: time.Minute, latency: 200 * time.Millisecond}
		for round := 1; round <= 3; round++ {
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(func() { wantID(t, m.client(store), fmt.Sprint("id", round)) })
			}
			wg.Wait()
			if m.called() != round || store.writes != round {
				t.Fatalf("round %d: %d calls, %d writes", round, m.called(), store.writes)
			}
			time.Sleep(time.Minute)
		}
	})
}

// Running processes share each renewal too, and no caller waits for it.
func TestRenewalIsShared_K13(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, m := newMemory(), &mint{lifetime: 5 * time.Minute, latency: 200 * time.Millisecond}
		var clients []*provision.Client
		for range 8 {
			clients = append(clients, m.client(store))
		}
		for range 3600 {
			for _, c := range clients {
				if _, err := c.Credentials(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(time.Second)
		}
		if n := m.called(); n < 12 || n > 15 {
			t.Errorf("%d calls of 8 processes in an hour, for 12 lifetimes", n)
		}
	})
}

// Refused credentials are not taken from the store again. Credentials that another process has
// stored in the meantime are.
func TestRejectedAndStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, m := newMemory(), &mint{lifetime: time.Hour}
		a, b := m.client(store), m.client(store)
		wantID(t, a, "id1")
		wantID(t, b, "id1")
		rejects(a)
		wantID(t, a, "id2")
		rejects(b)
		wantID(t, b, "id2")
		if m.called() != 2 {
			t.Errorf("%d calls", m.called())
		}
		time.Sleep(time.Minute) // a replacement cannot be rejected at once
		rejects(b)
		wantID(t, b, "id3")
		wantID(t, m.client(store), "id3")
	})
}

// Refused credentials that the endpoint gives again are not stored again.
func TestSameAgainIsNotStored_F2(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newMemory()
		c := &provision.Client{URL: endpoint, Store: store,
			HTTP: says(200, `{"id":"a","key":"k","expires_in":600}`)}
		for range 100 {
			if _, err := c.Credentials(t.Context()); err != nil {
				t.Fatal(err)
			}
			rejects(c)
			time.Sleep(time.Second)
		}
		if !errors.Is(c.Err(), creds.ErrSame) || store.writes != 1 {
			t.Errorf("%v, %d writes", c.Err(), store.writes)
		}
		// When they have ended, they are as good as any others.
		time.Sleep(600 * time.Second)
		if _, err := c.Credentials(t.Context()); err != nil || store.writes != 2 {
			t.Errorf("%v, %d writes", err, store.writes)
		}
	})
}

// A process whose call fails does not change the record of the others.
func TestLoserKeepsNewerRecord_K13(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, m := newMemory(), &mint{lifetime: time.Hour}
		wantID(t, m.client(store), "id1")
		_, before := store.only(t)
		loser := m.client(store)
		loser.HTTP = fails(errors.New("down"))
		wantID(t, loser, "id1")
		rejects(loser)
		wantID(t, loser, "id1") // the refused credentials, until they end
		if _, after := store.only(t); after != before {
			t.Errorf("%s\nbecame %s", before, after)
		}
	})
}

// Whatever is wrong with the store, each call works, and the log has the reason.
func TestStoreTrouble_K11_K12(t *testing.T) {
	hour := time.Hour
	tests := []struct {
		name  string
		spoil func(*memory, string)
		want  string // contained in the log
		kept  bool   // the record must not be replaced
	}{
		{"cannot be read", func(m *memory, _ string) { m.noLoad = errDisk }, "no space", false},
		{"cannot be locked", func(m *memory, _ string) { m.noUpdate = errDisk }, "no space", true},
		{"full disk", func(m *memory, _ string) { m.noWrite = errDisk }, "no space", true},
		{"held by others", func(m *memory, _ string) { m.lock <- struct{}{} }, "too long", true},
		{"truncated", func(m *memory, n string) { m.records[n] = m.records[n][:40] },
			"not one of", true},
		{"garbage", func(m *memory, n string) { m.records[n] = []byte("\x00\xff") },
			"not one of", true},
		{"empty", func(m *memory, n string) { m.records[n] = []byte{} }, "not one of", true},
		{"of somebody else", func(m *memory, n string) { m.records[n] = []byte(`{"id":"x"}`) },
			"not one of", true},
		{"newer format", func(m *memory, n string) {
			m.records[n] = []byte(`{"version":2,"secret":"canary-ne3er"}`)
		}, "newer version", true},
	}
	for _, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			store, m := newMemory(), &mint{lifetime: hour}
			wantID(t, m.client(store), "id1")
			name, _ := store.only(t)
			time.Sleep(hour) // the record has expired
			tt.spoil(store, name)
			before := store.all()[name]

			log := new(journal)
			c := m.client(store)
			c.Logger = log.logger()
			wantID(t, c, "id2")
			wantID(t, c, "id2")
			time.Sleep(hour)
			wantID(t, c, "id3")
			if !strings.Contains(log.String(), "level=WARN") ||
				!strings.Contains(log.String(), tt.want) {
				t.Errorf("%s: log %q", tt.name, log)
			}
			if n := strings.Count(log.String(), "the store failed"); n < 1 || n > 2 {
				t.Errorf("%s: %d records for 2 fetches: %s", tt.name, n, log)
			}
			if kept := string(store.all()[name]) == string(before); kept != tt.kept {
				t.Errorf("%s: kept %t, want %t", tt.name, kept, tt.kept)
			}
			if shows(log.String(), "canary-ne3er") || shows(log.String(), "k2") {
				t.Errorf("%s: log %s", tt.name, log)
			}
		})
	}
}

// A process that waits for the lock of a hanging process waits for a limited time.
func TestLockIsNotForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, m := newMemory(), &mint{lifetime: time.Hour}
		store.lock <- struct{}{}
		start := time.Now()
		wantID(t, m.client(store), "id1")
		if took := time.Since(start); took != 20*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

// A process holds the lock until its call has ended.
func TestSlowCallIsStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, m := newMemory(), &mint{lifetime: time.Hour, latency: 25 * time.Second}
		wantID(t, m.client(store), "id1")
		wantID(t, m.client(store), "id1")
	})
}

// Each endpoint and account has its own record, however the URL is spelled.
func TestRecordNames_K16(t *testing.T) {
	store := newMemory()
	name := func(url string, signer transport.Signer, name string) string {
		t.Helper()
		c := &provision.Client{URL: url, Signer: signer, Name: name, Store: store,
			HTTP: says(200, `{"id":"a","key":"k"}`)}
		if _, err := c.Credentials(t.Context()); err != nil {
			t.Fatal(err)
		}
		name, _ = store.only(t)
		clear(store.records)
		return name
	}
	bob := basic.Signer{User: "bob", Password: creds.Secret(password)}
	anns := name("https://user.example/provision", ann(), "")
	if !strings.HasPrefix(anns, "mac-user.example-") || len(anns) > 128 ||
		strings.Trim(anns, "abcdefghijklmnopqrstuvwxyz0123456789.-") != "" {
		t.Errorf("name %q", anns)
	}
	for url, signer := range map[string]transport.Signer{
		"https://USER.example:443/provision":   ann(),
		"https://user.example/provision#there": ann(),
	} {
		if got := name(url, signer, ""); got != anns {
			t.Errorf("%s: %q, want %q", url, got, anns)
		}
	}
	others := map[string]string{anns: "ann's"}
	for _, tt := range []struct {
		url    string
		signer transport.Signer
	}{
		{"https://user.example/provision", bob},
		{"https://user.example/provision", nil},
		{"https://user.example/provision?site=7", ann()},
		{"https://user.example/", ann()},
		{"https://user.example:8443/provision", ann()},
		{"https://other.example/provision", ann()},
		{"http://[::1]/provision", ann()},
		{"http://localhost/provision", ann()},
	} {
		got := name(tt.url, tt.signer, "")
		if other := others[got]; other != "" {
			t.Errorf("%v has the record of %s", tt, other)
		}
		others[got] = fmt.Sprint(tt)
	}
	if got := name(endpoint, ann(), "My bot"); got != "My bot" {
		t.Errorf("chosen name: %q", got)
	}
}

// Two accounts that have the same name by mistake never get each other's credentials.
func TestOtherAccountsRecord_F15(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, m, log := newMemory(), &mint{lifetime: time.Hour}, new(journal)
		a := m.client(store)
		a.Name = "bot"
		wantID(t, a, "id1")
		b := m.client(store)
		b.Name, b.Logger = "bot", log.logger()
		b.Signer = basic.Signer{User: "bob", Password: creds.Secret(password)}
		wantID(t, b, "id2")
		if !strings.Contains(log.String(), "another endpoint or account") {
			t.Errorf("log %q", log)
		}
	})
}

// The clock of this machine may be set between two starts.
func TestClockSetBetweenStarts(t *testing.T) {
	record := func(saved, expires time.Duration) string {
		now := time.Now()
		return fmt.Sprintf(`"saved":%d,"credentials":{"id":"old","key":"k",`+
			`"algorithm":"hmac-sha-1","expires":%d}}`,
			now.Add(saved).Unix(), now.Add(expires).Unix())
	}
	const day = 24 * time.Hour
	tests := []struct {
		name           string
		saved, expires time.Duration // by the machine's clock then, relative to now
		want           time.Duration // 0: no longer used
	}{
		{"right", -time.Hour, time.Hour, time.Hour},
		{"was ahead by a day", day - time.Hour, day + time.Hour, 2 * time.Hour},
		{"was behind by a day", -day - time.Hour, -day + time.Hour, 0},
		{"ends now", -time.Hour, 0, 0},
	}
	for _, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			store, m := newMemory(), &mint{lifetime: time.Hour}
			wantID(t, m.client(store), "id1")
			name, text := store.only(t)
			head, _, _ := strings.Cut(text, `"saved":`)
			store.records[name] = []byte(head + record(tt.saved, tt.expires))
			got, err := m.client(store).Credentials(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if used := got.ID == "old"; used != (tt.want > 0) {
				t.Errorf("%s: used %t", tt.name, used)
			} else if used && time.Until(got.Expires) != tt.want {
				t.Errorf("%s: ends in %v, want %v", tt.name, time.Until(got.Expires), tt.want)
			}
		})
	}
}

// The hook is called with each new credential, wherever it comes from, before a caller gets it.
func TestFetched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, m := newMemory(), &mint{lifetime: time.Hour}
		wantID(t, m.client(store), "id1")
		var heard []string
		c := m.client(store)
		c.Fetched = func(m *mac.Credentials) { heard = append(heard, m.ID) }
		wantID(t, c, "id1")
		wantID(t, c, "id1")
		time.Sleep(time.Hour)
		wantID(t, c, "id2")
		if fmt.Sprint(heard) != "[id1 id2]" {
			t.Errorf("heard %v", heard)
		}
	})
}

// A Client with unusable fields returns an error, and changes no record.
func TestStoreAndBrokenClient(t *testing.T) {
	store := newMemory()
	for _, c := range []*provision.Client{
		{URL: "user.example", Store: store},
		{URL: endpoint, Store: store, Signer: (*basic.Signer)(nil)},
		{URL: endpoint, Store: store, Method: "no method", HTTP: &http.Client{}},
	} {
		_, err := c.Credentials(t.Context())
		if err == nil || len(store.all()) != 0 {
			t.Errorf("%s: %v, %d records", c.URL, err, len(store.all()))
		}
		if check := c.Check(); err == nil || check == nil || check.Error() != err.Error() {
			t.Errorf("%s: Check says %v, and the first call %v", c.URL, check, err)
		}
	}
}
