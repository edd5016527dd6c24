package provision_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-go/countersign/mac"
	"github.com/countersign-go/countersign/provision"
)

// The forms that services use. Each row starts at the start of the year 2000, as synctest does.
func TestForms(t *testing.T) {
	const never = time.Duration(-1)
	const start, minute = 946684800, time.Minute
	const sha1, sha256 = mac.SHA1, mac.SHA256
	tests := []struct {
		name, members string
		header        string // one field
		algorithm     string
		want          time.Duration
	}{
		{"the lucky-number service", ``, "", sha1, never},
		{"our own Handler", `,"algorithm":"hmac-sha-256","expires":946684860,"expires_in":60`, "",
			sha256, minute},
		{"Mozilla's tokenserver", `,"uid":17,"hashalg":"sha256","duration":300,` +
			`"api_endpoint":"https://db42.example/1.5/17","hashed_fxa_uid":"8b"`,
			"X-Timestamp: 946684800", sha256, 5 * minute},
		{"short hash", `,"hashalg":"sha1"`, "", sha1, never},
		{"long hash", `,"hashalg":"hmac-sha-256"`, "", sha256, never},
		{"both names agree", `,"hashalg":"sha256","algorithm":"hmac-sha-256"`, "", sha256, never},
		{"null is absent",
			`,"hashalg":null,"duration":null,"expires_at":null,"api_endpoint":null`,
			"", sha1, never},
		{"expires_at in seconds", `,"expires_at":946684860.5`, "", sha1, minute},
		{"expires_at as text", `,"expires_at":"2000-01-01T01:01:00.5+01:00"`, "", sha1, minute},
		{"expires before expires_at", `,"expires":946684860.5,"expires_at":1`, "", sha1, minute},
		{"duration before expires", `,"expires":1,"duration":60`, "", sha1, minute},
		{"expires_in before duration", `,"duration":60,"expires_in":120`, "", sha1, 2 * minute},
		{"X-Timestamp before Date", `,"expires":946771260`, "X-Timestamp: 946771200.00", sha1,
			minute},
		{"X-Timestamp is nonsense", `,"expires":946684860.5`, "X-Timestamp: -1", sha1, minute},
		{"unknown members", `,"Expires_In":"x","exp":[{}],"KEY":7`, "", sha1, never},
	}
	for _, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			field, value, _ := strings.Cut(tt.header, ": ")
			date := time.Unix(start, 0).UTC().Format(http.TimeFormat)
			c := &provision.Client{URL: endpoint, HTTP: says(200,
				`{"id":"a","key":"k"`+tt.members+`}`, "Date", date, field, value)}
			got, err := c.Credentials(t.Context())
			if err != nil {
				t.Fatalf("%s: %v", tt.name, err)
			}
			left := time.Until(got.Expires)
			if got.Expires.IsZero() {
				left = never
			}
			if got.Algorithm != tt.algorithm || left != tt.want {
				t.Errorf("%s: %s for %v, want %v", tt.name, got.Algorithm, left, tt.want)
			}
		})
	}
}

// An answer is refused if a known member is of another type.
func TestFormTypes_F7(t *testing.T) {
	long := strings.Repeat("x", 1024)
	for member, want := range map[string]string{
		`"algorithm":7`:                                   "algorithm is not text",
		`"algorithm":"sha256"`:                            "algorithm is neither",
		`"hashalg":["sha256"]`:                            "hashalg is not text",
		`"hashalg":"SHA256"`:                              "hashalg is neither",
		`"hashalg":"sha512"`:                              "hashalg is neither",
		`"hashalg":""`:                                    "hashalg is neither",
		`"hashalg":"sha1","algorithm":"hmac-sha-256"`:     "are not the same",
		`"duration":"300"`:                                "duration is not a number",
		`"duration":-1`:                                   "duration is negative",
		`"duration":0`:                                    "already expired",
		`"duration":1e999`:                                "duration is out of range",
		`"duration":true,"expires_in":60`:                 "duration is not a number",
		`"expires_at":"tomorrow"`:                         "expires_at is neither",
		`"expires_at":"2100-01-01 00:00:00Z"`:             "expires_at is neither",
		`"expires_at":"2100-01-01T00:00:00,5Z"`:           "expires_at is neither",
		`"expires_at":"1969-12-31T23:59:59Z"`:             "expires_at is before 1970",
		`"expires_at":"9999-12-31T23:59:59-01:00"`:        "or after the year 9999",
		`"expires_at":{}`:                                 "expires_at is not a number",
		`"expires_at":"2000-01-01T00:00:00Z"`:             "already expired",
		`"api_endpoint":7`:                                "api_endpoint is not text",
		`"api_endpoint":""`:                               "is not an http or https URL",
		`"api_endpoint":"db.example"`:                     "is not an http or https URL",
		`"api_endpoint":"file:///etc/passwd"`:             "is not an http or https URL",
		`"api_endpoint":"https://a:b@c.example/"`:         "api_endpoint holds a user",
		`"api_endpoint":"https://c.example/#"`:            "api_endpoint holds",
		`"api_endpoint":"https://c.example/` + long + `"`: "api_endpoint is longer",
	} {
		c := &provision.Client{URL: endpoint, HTTP: says(200, `{"id":"a","key":"k",`+member+`}`)}
		_, err := c.Credentials(t.Context())
		var e *provision.Error
		if !errors.As(err, &e) || e.Status != 200 || !strings.Contains(e.Error(), want) {
			t.Errorf("%.60s: %v, want %q", member, err, want)
		}
	}
}

// A server whose clock is wrong by a day gives credentials that are still good.
func TestServerClockIsOff_F11(t *testing.T) {
	for _, days := range []int{-1, 0, 1} {
		synctest.Test(t, func(t *testing.T) {
			there := time.Now().AddDate(0, 0, days)
			stamp := fmt.Sprint(there.Unix())
			date := there.UTC().Format(http.TimeFormat)
			end := there.Add(time.Hour)
			for _, form := range []string{
				`"expires_in":3600`, `"duration":3600`, fmt.Sprintf(`"expires":%d`, end.Unix()),
				fmt.Sprintf(`"expires_at":%d`, end.Unix()),
				fmt.Sprintf(`"expires_at":%q`, end.UTC().Format(time.RFC3339)),
			} {
				for _, header := range [][]string{
					{"Date", date}, {"X-Timestamp", stamp},
					{"X-Timestamp", stamp, "Date", "Sat, 01 Jan 2000 00:00:00 GMT"},
				} {
					c := &provision.Client{URL: endpoint,
						HTTP: says(200, `{"id":"a","key":"k",`+form+`}`, header...)}
					got, err := c.Credentials(t.Context())
					if err != nil {
						t.Fatalf("%d days, %s, %v: %v", days, form, header, err)
					}
					if left := time.Until(got.Expires); (left - time.Hour).Abs() > time.Second {
						t.Errorf("%d days, %s, %v: ends in %v", days, form, header, left)
					}
				}
			}
		})
	}
}

// Unmarshal reads the parts of these forms that do not depend on the time of the answer.
func TestUnmarshalForms(t *testing.T) {
	got, err := provision.Unmarshal([]byte(
		`{"id":"a","key":"k","hashalg":"sha256","duration":300,` +
			`"expires_at":"2014-05-13T16:58:20Z","api_endpoint":"https://db42.example/"}`))
	want := &mac.Credentials{
		ID: "a", Key: []byte("k"), Algorithm: mac.SHA256, Expires: time.Unix(1400000300, 0),
	}
	if err != nil || !same(got, want) {
		t.Errorf("%v, %v", got, err)
	}
}

// Endpoint returns the endpoint of an answer, and sends it nothing.
func TestEndpoint_F9(t *testing.T) {
	var hosts []string
	const at = "https://db42.example/1.5/17"
	c := &provision.Client{URL: endpoint, HTTP: handlerFunc(
		func(w http.ResponseWriter, req *http.Request) {
			hosts = append(hosts, req.Host)
			fmt.Fprintf(w, `{"id":"a","key":"k","api_endpoint":%q}`, at)
		})}
	got, err := c.Endpoint(t.Context())
	if err != nil || got != at || fmt.Sprint(hosts) != "[user.example]" {
		t.Errorf("%q, %v, asked %v", got, err, hosts)
	}
	c = &provision.Client{URL: endpoint, HTTP: says(200, `{"id":"a","key":"k"}`)}
	if got, err := c.Endpoint(t.Context()); got != "" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	c = &provision.Client{URL: endpoint, HTTP: says(401, "")}
	if got, err := c.Endpoint(t.Context()); got != "" || err == nil {
		t.Errorf("%q, %v", got, err)
	}
}
