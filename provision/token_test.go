package provision_test

import (
	"encoding/json"
	"math"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/oauth2"

	"github.com/countersign-go/countersign/mac"
	"github.com/countersign-go/countersign/provision"
)

func extra(t *testing.T, object string) func(string) any {
	t.Helper()
	var raw map[string]any
	if err := json.Unmarshal([]byte(object), &raw); err != nil {
		t.Fatal(err)
	}
	return new(oauth2.Token).WithExtra(raw).Extra
}

func TestFromToken(t *testing.T) {
	const key = `"mac_key":"adijq39jdlaska9asud"`
	const never = time.Duration(-1)
	tests := []struct {
		extra     string
		algorithm string
		want      time.Duration
	}{
		{`{"token_type":"mac",` + key + `,"mac_algorithm":"hmac-sha-256"}`, mac.SHA256, never},
		{`{"token_type":"MAC",` + key + `,"mac_algorithm":"hmac-sha-1"}`, mac.SHA1, never},
		{`{` + key + `,"mac_algorithm":"hmac-sha-1","expires_in":3600}`, mac.SHA1, time.Hour},
		{`{` + key + `,"mac_algorithm":"hmac-sha-1","expires_in":null}`, mac.SHA1, never},
		{`{` + key + `,"mac_algorithm":"hmac-sha-1","expires_in":0.5}`, mac.SHA1, time.Second / 2},
		{`{` + key + `,"mac_algorithm":"hmac-sha-1","expires_in":1e300}`, mac.SHA1, math.MaxInt64},
	}
	for _, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			got, err := provision.FromToken("SlAV32hkKG", extra(t, tt.extra))
			if err != nil {
				t.Fatalf("%s: %v", tt.extra, err)
			}
			left := time.Until(got.Expires)
			if got.Expires.IsZero() {
				left = never
			}
			if got.ID != "SlAV32hkKG" || string(got.Key) != "adijq39jdlaska9asud" ||
				got.Algorithm != tt.algorithm || left != tt.want {
				t.Errorf("%s: %v for %v", tt.extra, got, left)
			}
		})
	}
}

func TestFromTokenRefuses(t *testing.T) {
	const sha1 = `,"mac_algorithm":"hmac-sha-1"`
	for object, want := range map[string]string{
		`{}`:                             "mac_key is empty",
		`{"mac_algorithm":"hmac-sha-1"}`: "mac_key is empty",
		`{"mac_key":"hunter2"}`:          "mac_algorithm is neither",
		`{"mac_key":"hunter2","mac_algorithm":"HMAC-SHA-1"}`:  "mac_algorithm is neither",
		`{"mac_key":"hunter2","mac_algorithm":7}`:             "mac_algorithm is not text",
		`{"mac_key":"hunter2\n"` + sha1 + `}`:                 "mac_key holds something",
		`{"mac_key":["hunter2"]` + sha1 + `}`:                 "mac_key is not text",
		`{"token_type":"bearer","mac_key":"hunter2"}`:         "token_type is not mac",
		`{"token_type":7,"mac_key":"hunter2"}`:                "token_type is not text",
		`{"mac_key":"hunter2"` + sha1 + `,"expires_in":-1}`:   "expires_in is negative",
		`{"mac_key":"hunter2"` + sha1 + `,"expires_in":0}`:    "expires_in is over",
		`{"mac_key":"hunter2"` + sha1 + `,"expires_in":"60"}`: "expires_in is not a number",
		`{"mac_key":"hunter2"` + sha1 + `,"expires_in":true}`: "expires_in is not a number",
	} {
		got, err := provision.FromToken("a", extra(t, object))
		if got != nil || !strings.Contains(text(err), want) || shows(text(err), "hunter2") ||
			!strings.HasPrefix(text(err), "provision: a token cannot be used: ") {
			t.Errorf("%s: %v, want %q", object, err, want)
		}
	}
	good := `{"mac_key":"hunter2","mac_algorithm":"hmac-sha-1"}`
	for _, id := range []string{"", "a\"b", "a\nb", strings.Repeat("a", 4097)} {
		_, err := provision.FromToken(id, extra(t, good))
		if !strings.Contains(text(err), "access_token") {
			t.Errorf("%.10q: %v", id, err)
		}
	}
	if _, err := provision.FromToken("a", nil); !strings.Contains(text(err), "extra is nil") {
		t.Error(err)
	}
	if _, err := provision.FromToken("a", new(oauth2.Token).Extra); err == nil {
		t.Error("a token without extra members was taken")
	}
}

// Package oauth2 keeps the values of a form unchanged, and gives its numbers other types than JSON
// numbers have.
func TestFromTokenForm(t *testing.T) {
	form := func(in string) func(string) any {
		return new(oauth2.Token).WithExtra(url.Values{
			"mac_key": {"k"}, "mac_algorithm": {"hmac-sha-1"}, "expires_in": {in},
		}).Extra
	}
	for in, want := range map[string]time.Duration{
		"60": time.Minute, "1.5": 1500 * time.Millisecond,
	} {
		synctest.Test(t, func(t *testing.T) {
			got, err := provision.FromToken("a", form(in))
			if err != nil || time.Until(got.Expires) != want {
				t.Errorf("%s: %v, %v", in, got, err)
			}
		})
	}
	if got, err := provision.FromToken("a", form("")); err != nil || !got.Expires.IsZero() {
		t.Error(got, err)
	}
	for _, v := range []any{math.NaN(), math.Inf(1)} {
		_, err := provision.FromToken("a", func(name string) any {
			return map[string]any{
				"mac_key": "k", "mac_algorithm": "hmac-sha-1", "expires_in": v,
			}[name]
		})
		if !strings.Contains(text(err), "expires_in is not a number") {
			t.Errorf("%v: %v", v, err)
		}
	}
}
