package provision_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-go/countersign/provision"
)

// A record is read only in the form in which it is written. A record with any other content is not
// used, and not changed.
func TestRecordIsStrict_F7(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, m := newMemory(), &mint{lifetime: time.Hour}
		m.extra = `,"api_endpoint":"https://a.example/1"`
		wantID(t, m.client(store), "id1")
		name, good := store.only(t)
		const offsets = `"https://api.example:443":3600000,"http://[::1]:8080":-1`
		good = strings.TrimSuffix(strings.TrimSpace(good), "}") + `,"offsets_ms":{` + offsets + `}}`
		for _, tt := range []struct{ old, new string }{
			{``, ``}, // the valid record itself
			{`"version":1`, `"version":0`},
			{`"version":1`, `"version":1.0`},
			{`"version":1`, `"version":"1"`},
			{`"version":1`, `"version":99999999999999999999`},
			{`"version":1,`, ``},
			{`"owner":"`, `"owner":7,"x":"`},
			{`"owner":"`, `"owner":7,"account":"`},
			{`"saved":946684800`, `"saved":"946684800"`},
			{`"saved":946684800`, `"saved":946598400`}, // more than a day before
			{`"id":"id1"`, `"id":7`},
			{`"id":"id1"`, `"id":"a\"b"`},
			{`"id":"id1"`, `"id":"id1","uid":7`},
			{`"key":"k1"`, `"key":"k1","key":"k2"`},
			{`"key":"k1"`, `"key":"[redacted]"`},
			{`"algorithm":"hmac-sha-1"`, `"algorithm":"none"`},
			{`"credentials":`, `"credentials":null,"x":`},
			{`"https://a.example/1"`, `7`},
			{`"https://a.example/1"`, `"ftp://a.example/1"`},
			{`{` + offsets + `}`, `[]`},
			{`"https://api.example:443"`, `"https://API.example:443"`},
			{`"https://api.example:443"`, `"https://api.example"`},
			{`"https://api.example:443"`, `"api.example:443"`},
			{`"https://api.example:443"`, `"https://:443"`},
			{`3600000`, `3600000.5`},
			{`3600000`, `"3600000"`},
			{`3600000`, `31622400001`}, // over 366 days
			{`-1}`, `-1` + manyOrigins(15) + `}`},
		} {
			if !strings.Contains(good, tt.old) {
				t.Fatalf("%s is not in %s", tt.old, good)
			}
			text := strings.Replace(good, tt.old, tt.new, 1)
			store.records[name] = []byte(text)
			m := &mint{lifetime: time.Minute}
			m.calls = 1
			want := "id2"
			if tt.old == "" {
				want = "id1"
			}
			wantID(t, m.client(store), want)
			if string(store.records[name]) != text {
				t.Errorf("%s: the record became %s", tt.new, store.records[name])
			}
		}
	})
}

func manyOrigins(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(`,"https://` + strings.Repeat("x", i+1) + `:443":1`)
	}
	return b.String()
}

// The longest id, key and endpoint still make a record that can be read.
func TestLongestRecord(t *testing.T) {
	store := newMemory()
	long := strings.Repeat("<", 4096) // which encoding/json writes as six bytes
	for range 2 {
		c := &provision.Client{URL: endpoint, Store: store, HTTP: says(200, `{"id":"`+long+
			`","key":"`+long+`","api_endpoint":"https://a.example/`+long[:1000]+`"}`)}
		wantID(t, c, long)
	}
	if store.writes != 1 {
		t.Errorf("%d writes", store.writes)
	}
}

// Credentials that another process has stored do not replace ones that last longer.
func TestShorterRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, m := newMemory(), &mint{lifetime: 10 * time.Minute}
		c := m.client(store)
		wantID(t, c, "id1")
		time.Sleep(9*time.Minute + 35*time.Second) // in the renewal window
		short := &mint{lifetime: 10 * time.Second}
		short.calls = 98
		other := short.client(store)
		wantID(t, other, "id1")
		rejects(other)
		wantID(t, other, "id99")
		wantID(t, c, "id1") // starts the renewal
		synctest.Wait()
		wantID(t, c, "id2")
	})
}
