package httptime_test

import (
	"math"
	"net/http"
	"testing"
	"time"

	"github.com/countersign-go/countersign/internal/httptime"
)

const date = "Sat, 01 Jan 2000 00:00:00 GMT" // 946684800

// Now returns the most exact time that the server states, plus the answer's age.
func TestNow(t *testing.T) {
	at := time.Unix
	for _, tt := range []struct {
		stamp, date string
		age         []string
		want        time.Time // zero if there is no time
	}{
		{"", date, nil, at(946684800, 5e8)},
		{"", date, []string{"0"}, at(946684800, 5e8)},
		{"", date, []string{"3"}, at(946684803, 5e8)},
		{"", date, []string{"600"}, at(946685400, 5e8)},
		{"", date, []string{"3", "7"}, at(946684807, 5e8)},
		{"", date, []string{"7, 3"}, at(946684807, 5e8)},
		{"", date, []string{""}, time.Time{}},
		{"", date, []string{"-1"}, time.Time{}},
		{"", date, []string{"1.5"}, time.Time{}},
		{"", date, []string{"3", "x"}, time.Time{}},
		{"", "", nil, time.Time{}},
		{"", "yesterday", nil, time.Time{}},
		{"1400000000", date, nil, at(1400000000, 5e8)},
		{"1400000000", "", nil, at(1400000000, 5e8)},
		{"1400000000", date, []string{"7"}, at(1400000007, 5e8)},
		{"1400000000.25", date, nil, at(1400000000, 25e7)},
		{"1400000000.0000000019", date, nil, at(1400000000, 1)},
		{"1400000000.", date, nil, at(1400000000, 0)},
		{"0", date, nil, at(0, 5e8)},
		{"-1", date, nil, at(946684800, 5e8)},
		{"+1", date, nil, at(946684800, 5e8)},
		{"1.4e9", date, nil, at(946684800, 5e8)},
		{"0x1p30", date, nil, at(946684800, 5e8)},
		{"1400000000.x", date, nil, at(946684800, 5e8)},
		{"1_400", date, nil, at(946684800, 5e8)},
		{"99999999999999999999", date, nil, at(946684800, 5e8)},
	} {
		h := http.Header{"X-Timestamp": {tt.stamp}, "Date": {tt.date}, "Age": tt.age}
		got, ok := httptime.Now(h)
		if ok == tt.want.IsZero() || ok && !got.Equal(tt.want) {
			t.Errorf("%q, %q, %q: %v, %v", tt.stamp, tt.date, tt.age, got, ok)
		}
	}
}

// A Date that can mean only one moment is accepted, however the server has written it.
func TestParseTime(t *testing.T) {
	want := time.Date(1994, 11, 6, 8, 49, 37, 0, time.UTC)
	for _, text := range []string{
		"Sun, 06 Nov 1994 08:49:37 GMT",
		"Sunday, 06-Nov-94 08:49:37 GMT",
		"Sun Nov  6 08:49:37 1994",
		"Sun, 06 Nov 1994 08:49:37 UTC",
		"Sun, 06 Nov 1994 08:49:37 +0000",
		"Sun, 06 Nov 1994 08:49:37 -0000",
		"Sun, 06 Nov 1994 09:49:37 +0100",
		"sun, 06 nov 1994 08:49:37 gmt",
		"SUN, 06 NOV 1994 08:49:37 GMT",
		"Sun, 06 Nov 1994 08:49:37 Z",
	} {
		if got, err := httptime.ParseTime(text); err != nil || !got.Equal(want) {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{
		"", "GMT", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49:37 CET",
		"Sun, 06 Nov 1994 08:49:37 PST", "1994-11-06T08:49:37Z", "784111777",
		"Sun, 06 Nov 1994 25:49:37 GMT", "Sun, 31 Feb 1994 08:49:37 GMT",
	} {
		if got, err := httptime.ParseTime(text); err == nil {
			t.Errorf("%s is read as %v", text, got)
		}
	}
}

// RetryAfter returns the wait that the server asks for, however long, and never a negative wait. A
// date is compared with the server's own clock.
func TestRetryAfter(t *testing.T) {
	received := time.Date(2030, 5, 6, 7, 8, 9, 7e8, time.UTC)
	for _, tt := range []struct {
		field, date, age string
		want             time.Duration
	}{
		{"", "", "", 0},
		{"0", "", "", 0},
		{"7", "", "", 7 * time.Second},
		{"3600", "", "", time.Hour},
		{"007", "", "", 7 * time.Second},
		{"9223372036", "", "", 9223372036 * time.Second},
		{"9223372037", "", "", math.MaxInt64},
		{"99999999999999999999", "", "", math.MaxInt64},
		{"-1", "", "", 0},
		{"+1", "", "", 0},
		{"1.5", "", "", 0},
		{"1, 2", "", "", 0},
		{"soon", "", "", 0},
		{"Sat, 01 Jan 2000 00:01:00 GMT", date, "", time.Minute},
		{"Sat, 01 Jan 2000 00:01:00 GMT", date, "20", 40 * time.Second},
		{"Sat, 01 Jan 2000 00:00:00 GMT", date, "", 0},
		{"Wed, 21 Oct 2015 07:28:00 GMT", "Wed, 21 Oct 2015 07:28:01 GMT", "", 0},
		{"Wed, 21 Oct 2015 07:28:00 GMT", "", "", 0},
		{"Mon, 06 May 2030 07:08:19 GMT", "", "", 10 * time.Second},
		{"Mon, 06 May 2030 07:08:19 UTC", "garbage", "", 10 * time.Second},
	} {
		h := http.Header{"Retry-After": {tt.field}, "Date": {tt.date}}
		if tt.age != "" {
			h.Set("Age", tt.age)
		}
		if got := httptime.RetryAfter(h, received); got != tt.want {
			t.Errorf("%q, Date %q, Age %q: %v, want %v", tt.field, tt.date, tt.age, got, tt.want)
		}
	}
}
