package provision_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/mac"
	"github.com/countersign-go/countersign/provision"
)

func TestMarshalRoundTrip(t *testing.T) {
	zone := time.FixedZone("", 3600)
	tests := []struct {
		c    mac.Credentials
		want string
	}{
		{mac.Credentials{ID: "a", Key: creds.Secret("k"), Algorithm: mac.SHA1},
			`{"id":"a","key":"k","algorithm":"hmac-sha-1"}`},
		{mac.Credentials{ID: "a", Key: creds.Secret("k"), Algorithm: mac.SHA256,
			Expires: time.Unix(1400000300, 0)},
			`{"id":"a","key":"k","algorithm":"hmac-sha-256","expires":1400000300}`},
		{mac.Credentials{ID: "a", Key: creds.Secret("k"), Algorithm: mac.SHA256,
			Expires: time.Unix(1400000300, 500_000_000).In(zone)},
			`{"id":"a","key":"k","algorithm":"hmac-sha-256","expires":1400000300.5}`},
		{mac.Credentials{ID: "a", Key: creds.Secret("k"), Algorithm: mac.SHA256,
			Expires: time.Unix(1795306946, 1)},
			`{"id":"a","key":"k","algorithm":"hmac-sha-256","expires":1795306946.000000001}`},
		{mac.Credentials{ID: "a", Key: creds.Secret("k"), Algorithm: mac.SHA256,
			Expires: time.Unix(0, 0)},
			`{"id":"a","key":"k","algorithm":"hmac-sha-256","expires":0}`},
		{mac.Credentials{ID: "a", Key: creds.Secret("k"), Algorithm: mac.SHA256,
			Expires: time.Date(9999, 12, 31, 23, 59, 59, 999_999_999, time.UTC)},
			`{"id":"a","key":"k","algorithm":"hmac-sha-256","expires":253402300799.999999999}`},
		{mac.Credentials{ID: "<a&b> ~!", Key: creds.Secret("a/+='"), Algorithm: mac.SHA256},
			`{"id":"\u003ca\u0026b\u003e ~!","key":"a/+='","algorithm":"hmac-sha-256"}`},
	}
	for _, tt := range tests {
		data, err := provision.Marshal(&tt.c)
		if err != nil || string(data) != tt.want {
			t.Errorf("%s, %v, want %s", data, err, tt.want)
			continue
		}
		got, err := provision.Unmarshal(data)
		if err != nil || !same(got, &tt.c) {
			t.Errorf("%s: got %v, %v", data, got, err)
		}
	}
}

func same(a, b *mac.Credentials) bool {
	return a.ID == b.ID && string(a.Key) == string(b.Key) && a.Algorithm == b.Algorithm &&
		a.Expires.Equal(b.Expires) && a.Expires.IsZero() == b.Expires.IsZero()
}

func TestMarshalDefaults(t *testing.T) {
	data, err := provision.Marshal(&mac.Credentials{ID: "a", Key: creds.Secret("k")})
	if err != nil || string(data) != `{"id":"a","key":"k","algorithm":"hmac-sha-256"}` {
		t.Errorf("%s, %v", data, err)
	}
}

// ungrammatical has texts that must not come between the quotes of a header field.
var ungrammatical = map[string]string{
	"empty":     "",
	"quote":     `a"b`,
	"backslash": `a\b`,
	"line end":  "a\r\nX-Evil: 1",
	"tab":       "a\tb",
	"NUL":       "a\x00",
	"DEL":       "a\x7f",
	"umlaut":    "ä",
	"too long":  strings.Repeat("a", 4097),
}

func TestMarshalGrammar_C19(t *testing.T) {
	for name, s := range ungrammatical {
		for _, c := range []mac.Credentials{
			{ID: s, Key: creds.Secret("hunter2")},
			{ID: "a", Key: creds.Secret(s)},
		} {
			data, err := provision.Marshal(&c)
			if err == nil {
				t.Errorf("%s: wrote %s", name, data)
			} else if s != "" && strings.Contains(err.Error(), s) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	longest := strings.Repeat("a", 4096)
	c := &mac.Credentials{ID: longest, Key: creds.Secret(longest)}
	if _, err := provision.Marshal(c); err != nil {
		t.Error(err)
	}
}

func TestMarshalRefuses(t *testing.T) {
	k := creds.Secret("hunter2")
	year10000 := time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)
	for want, c := range map[string]*mac.Credentials{
		"they are nil":            nil,
		"algorithm is neither":    {ID: "a", Key: k, Algorithm: "hmac-sha-512"},
		"expires is before 1970":  {ID: "a", Key: k, Expires: time.Unix(-1, 0)},
		"or after the year 9999":  {ID: "a", Key: k, Expires: year10000},
		"key is a redacted one":   {ID: "a", Key: creds.Secret(k.String())},
		"credentials cannot be w": {ID: "", Key: k},
	} {
		if _, err := provision.Marshal(c); !strings.Contains(text(err), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func TestUnmarshal_F7(t *testing.T) {
	const ok = `"id":"a","key":"k"`
	end := time.Unix
	accepted := []struct {
		data string
		want mac.Credentials
	}{
		{`{` + ok + `}`, mac.Credentials{Algorithm: mac.SHA1}},
		{` { "key" : "k" , "id" : "a" } `, mac.Credentials{Algorithm: mac.SHA1}},
		{`{` + ok + `,"algorithm":"hmac-sha-256"}`, mac.Credentials{Algorithm: mac.SHA256}},
		{`{` + ok + `,"algorithm":null,"expires":null}`, mac.Credentials{Algorithm: mac.SHA1}},
		{`{` + ok + `,"expires":1400000300}`, mac.Credentials{
			Algorithm: mac.SHA1, Expires: end(1400000300, 0)}},
		{`{` + ok + `,"expires":1400000300.073159}`, mac.Credentials{
			Algorithm: mac.SHA1, Expires: end(1400000300, 73159000)}},
		{`{` + ok + `,"expires":1.4000003005e9}`, mac.Credentials{
			Algorithm: mac.SHA1, Expires: end(1400000300, 500000000)}},
		{`{` + ok + `,"expires":0.1234567899}`, mac.Credentials{
			Algorithm: mac.SHA1, Expires: end(0, 123456789)}},
		{`{` + ok + `,"expires":1e22}`, mac.Credentials{
			Algorithm: mac.SHA1, Expires: end(253402300799, 0)}},
		{`{` + ok + `,"expires":` + strings.Repeat("9", 300) + `}`, mac.Credentials{
			Algorithm: mac.SHA1, Expires: end(253402300799, 0)}},
		{`{` + ok + `,"ID":"b","Key":"c","uid":7,"api_endpoint":"https://x.example/"}`,
			mac.Credentials{Algorithm: mac.SHA1}},
	}
	for _, tt := range accepted {
		tt.want.ID, tt.want.Key = "a", creds.Secret("k")
		if got, err := provision.Unmarshal([]byte(tt.data)); err != nil || !same(got, &tt.want) {
			t.Errorf("%s: %+v, %v", tt.data, got, err)
		}
	}
	refused := []struct{ data, want string }{
		{``, "nothing in it"},
		{`hunter2`, "not JSON"},
		{`{"id":"a","key":"hunter2"`, "not JSON"},
		{`{` + ok + `}{}`, "not JSON"},
		{`["a","hunter2"]`, "not a JSON object"},
		{`{` + ok + `,"key":"hunter2"}`, "a name occurs twice"},
		{`{` + ok + `,"\u006bey":"hunter2"}`, "a name occurs twice"},
		{`{` + ok + `,"x":` + strings.Repeat("[", 99) + strings.Repeat("]", 99) + `}`, "nested"},
		{`{` + ok + `,"x":"` + strings.Repeat("x", 65536) + `"}`, "more than 64 KiB"},
		{`{"id":"a"}`, "there is no key"},
		{`{"key":"hunter2"}`, "there is no id"},
		{`{"ID":"a","Key":"hunter2"}`, "there is no id"},
		{`{"id":7,"key":"hunter2"}`, "id is not text"},
		{`{"id":"a","key":null}`, "key is not text"},
		{`{"id":"a","key":["hunter2"]}`, "key is not text"},
		{`{"id":"a","key":"[redacted]"}`, "key is a redacted one"},
		{`{` + ok + `,"algorithm":""}`, "algorithm is neither"},
		{`{` + ok + `,"algorithm":"HMAC-SHA-1"}`, "algorithm is neither"},
		{`{` + ok + `,"algorithm":"none"}`, "algorithm is neither"},
		{`{` + ok + `,"algorithm":1}`, "algorithm is not text"},
		{`{` + ok + `,"expires":"1400000300"}`, "expires is not a number"},
		{`{` + ok + `,"expires":true}`, "expires is not a number"},
		{`{` + ok + `,"expires":-1}`, "expires is negative"},
		{`{` + ok + `,"expires":1e400}`, "expires is out of range"},
	}
	for _, tt := range refused {
		got, err := provision.Unmarshal([]byte(tt.data))
		if got != nil || !strings.Contains(text(err), tt.want) ||
			!strings.HasPrefix(text(err), "provision: ") {
			t.Errorf("%.60s: %v, %v, want %q", tt.data, got, err, tt.want)
		}
		if strings.Contains(text(err), "hunter2") {
			t.Errorf("%.60s: %v", tt.data, err)
		}
	}
}

func TestUnmarshalGrammar_C19(t *testing.T) {
	for name, s := range ungrammatical {
		quoted, _ := json.Marshal(s)
		for _, form := range []string{`{"id":%s,"key":"k"}`, `{"id":"a","key":%s}`} {
			if _, err := provision.Unmarshal(fmt.Appendf(nil, form, quoted)); err == nil {
				t.Errorf("%s: %s was read", name, form)
			}
		}
	}
}

// Credentials that can be read can be written, and are then the same.
func FuzzUnmarshal(f *testing.F) {
	for _, seed := range []string{
		`{"id":"a","key":"b"}`, `{"id":"a","key":"b","algorithm":"hmac-sha-256","expires":1.5}`,
		`{"id":"a","key":"b","expires":1e22}`, `{"id":"a","id":"b"}`, `{"id":"\u0022","key":"b"}`,
		`{"id":"a","key":"b","expires":0.0000000019,"algorithm":null}`,
		`{"id":"a","key":"b","x":[{}]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := provision.Unmarshal(data)
		if err != nil {
			return
		}
		written, err := provision.Marshal(c)
		if err != nil {
			t.Fatalf("%s: %v", data, err)
		}
		again, err := provision.Unmarshal(written)
		if err != nil || !reflect.DeepEqual(c, again) {
			t.Fatalf("%s: %v, %v", written, again, err)
		}
	})
}

// Marshal writes one name for each algorithm, so that every reader of the form knows it.
func TestMarshalNamesAlgorithms(t *testing.T) {
	for name, want := range map[string]string{
		"": "hmac-sha-256", "sha256": "hmac-sha-256", "hmac-sha-256": "hmac-sha-256",
		"sha1": "hmac-sha-1", "hmac-sha-1": "hmac-sha-1",
	} {
		data, err := provision.Marshal(&creds.SharedKey{ID: "i", Key: []byte("k"), Algorithm: name})
		if err != nil || !strings.Contains(string(data), `"algorithm":"`+want+`"`) {
			t.Errorf("%q: %s, %v", name, data, err)
		}
	}
	data, err := provision.Marshal(&creds.SharedKey{ID: "i", Key: []byte("k"), Algorithm: "md5"})
	if err == nil {
		t.Errorf("md5: %s", data)
	}
}
