package provision_test

import (
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-go/countersign/provision"
	"github.com/countersign-go/countersign/transport"
)

// The end in an answer is converted to this machine's clock, whatever the server's clock shows.
func TestExpiry_F10_F11(t *testing.T) {
	const start = 946684800 // the start of a synctest bubble: 2000-01-01
	date := func(offset int64) string {
		return time.Unix(start+offset, 0).UTC().Format(http.TimeFormat)
	}
	hinted := func(expires string) string {
		payload := `{"expires":` + expires + `}`
		tag := strings.Repeat("t", sha1.Size) // under a secret that the client does not know
		return base64.URLEncoding.EncodeToString([]byte(payload + tag))
	}
	const year = 365 * 24 * 3600
	const never = time.Duration(-1)
	const half = time.Second / 2 // the middle of the second in Date
	tests := []struct {
		id, extra string
		offset    int64 // of the server's clock
		want      time.Duration
		err       string
	}{
		{"a", ``, 0, never, ""},
		{"a", `,"expires_in":60`, 0, time.Minute, ""},
		{"a", `,"expires_in":60`, year, time.Minute, ""},
		{"a", `,"expires_in":60.25`, -year, time.Minute + time.Second/4, ""},
		{"a", `,"expires_in":6e1`, 0, time.Minute, ""},
		{"a", `,"expires_in":60,"expires":1`, 0, time.Minute, ""},
		{"a", `,"expires_in":0.001`, 0, 5 * time.Second, ""},
		{"a", `,"expires_in":86401`, 0, 24 * time.Hour, ""},
		{"a", `,"expires_in":9223372036854775808`, 0, 24 * time.Hour, ""},
		{"a", `,"expires_in":1e300`, 0, 24 * time.Hour, ""},
		{"a", `,"expires_in":null`, 0, never, ""},
		{"a", `,"expires_in":0`, 0, 0, "already expired"},
		{"a", `,"expires_in":-60`, 0, 0, "expires_in is negative"},
		{"a", `,"expires_in":1e400`, 0, 0, "expires_in is out of range"},
		{"a", `,"expires_in":"60"`, 0, 0, "expires_in is not a number"},
		{"a", `,"expires_in":true`, 0, 0, "expires_in is not a number"},
		{"a", `,"expires_in":[60]`, 0, 0, "expires_in is not a number"},

		{"a", `,"expires":946684860.5`, 0, time.Minute, ""},
		{"a", fmt.Sprintf(`,"expires":%d.5`, start+year+60), year, time.Minute, ""},
		{"a", fmt.Sprintf(`,"expires":%d.5`, start-year+60), -year, time.Minute, ""},
		{"a", `,"expires":946684801`, 0, 5 * time.Second, ""},
		{"a", `,"expires":1e22`, 0, 24 * time.Hour, ""},
		{"a", `,"expires":946684799`, 0, 0, "already expired"},
		{"a", `,"expires":0`, 0, 0, "already expired"},
		{"a", `,"expires":946684860`, 86400, 0, "already expired"},
		{"a", `,"expires":-1`, 0, 0, "expires is negative"},
		{"a", `,"expires":"2000-01-01T00:01:00Z"`, 0, 0, "expires is not a number"},

		{hinted("946684860"), ``, 0, time.Minute - half, ""},
		{hinted("946684860"), `,"expires_in":10`, 0, 10 * time.Second, ""},
		{hinted("1e22"), ``, 0, 24 * time.Hour, ""},
		{hinted("946684799"), ``, 0, never, ""}, // a wrong hint is ignored
		{hinted("-1"), ``, 0, never, ""},
		{hinted(`"946684860"`), ``, 0, never, ""},
		{hinted("NaN"), ``, 0, never, ""},
		{strings.TrimRight(hinted("946684860"), "="), ``, 0, never, ""},
	}
	for _, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			c := &provision.Client{URL: endpoint, HTTP: says(200,
				`{"id":"`+tt.id+`","key":"k"`+tt.extra+`}`, "Date", date(tt.offset))}
			got, err := c.Credentials(t.Context())
			switch {
			case tt.err != "":
				var e *provision.Error
				if !errors.As(err, &e) || e.Status != 200 || !strings.Contains(e.Error(), tt.err) {
					t.Errorf("%s: %v, want %q", tt.extra, err, tt.err)
				}
			case err != nil:
				t.Errorf("%s: %v", tt.extra, err)
			case tt.want == never && !got.Expires.IsZero(),
				tt.want != never && time.Until(got.Expires) != tt.want:
				t.Errorf("%s %s: in %v, want %v", tt.id, tt.extra, time.Until(got.Expires), tt.want)
			}
		})
	}
}

// Without a usable Date, the Clock gives the time at the endpoint.
func TestExpiryByClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u, _ := url.Parse(endpoint)
		clock := new(transport.Clock)
		clock.Set(u, time.Hour)
		end := time.Now().Add(time.Hour + time.Minute).Unix()
		c := &provision.Client{URL: endpoint, Clock: clock, HTTP: says(200,
			fmt.Sprintf(`{"id":"a","key":"k","expires":%d}`, end),
			"Date", time.Now().UTC().Format(http.TimeFormat), "Age", "unknown")}
		got, err := c.Credentials(t.Context())
		if err != nil || time.Until(got.Expires) != time.Minute {
			t.Errorf("%v, %v", got, err)
		}
	})
}

// Behind a cache, the server's present time is Date plus Age. A server whose clock is an hour
// behind gives credentials that are good for five minutes more by its own clock.
func TestExpiryBehindCache(t *testing.T) {
	for _, age := range []int64{0, 3, 240} {
		synctest.Test(t, func(t *testing.T) {
			there := time.Now().Add(-time.Hour)
			made := there.Add(-time.Duration(age) * time.Second)
			c := &provision.Client{URL: endpoint, HTTP: says(200,
				fmt.Sprintf(`{"id":"a","key":"k","expires":%d.5}`, there.Add(5*time.Minute).Unix()),
				"Date", made.UTC().Format(http.TimeFormat), "Age", fmt.Sprint(age))}
			got, err := c.Credentials(t.Context())
			if err != nil || time.Until(got.Expires) != 5*time.Minute {
				t.Errorf("Age %d: %v, %v", age, got, err)
			}
		})
	}
}
