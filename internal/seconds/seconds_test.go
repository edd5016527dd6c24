package seconds_test

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"github.com/countersign-go/countersign/internal/seconds"
)

func TestTime(t *testing.T) {
	last := time.Unix(seconds.End-1, 0)
	for _, tt := range []struct {
		text string // of a number
		want time.Time
		ok   bool
	}{
		{"0", time.Unix(0, 0), true},
		{"1400000300.5", time.Unix(1400000300, 5e8), true},
		{"1400000300.123456789", time.Unix(1400000300, 123456789), true},
		{"1400000300.1234567899", time.Unix(1400000300, 123456789), true},
		{"1.5e9", time.Unix(1500000000, 0), true},
		{"253402300799", last, true},
		{"253402300800", last, true},
		{"1e300", last, true},
		{"-1", time.Time{}, false},
		{"1e400", time.Time{}, false},
	} {
		got, err := seconds.Time(json.Number(tt.text))
		if (err == nil) != tt.ok || !got.Equal(tt.want) {
			t.Errorf("%s: %v, %v", tt.text, got, err)
		}
	}
	for _, v := range []any{nil, "0", true, 0, 0.5, []any{}, map[string]any{}} {
		if got, err := seconds.Time(v); err == nil {
			t.Errorf("%T: %v", v, got)
		}
	}
}

func TestMoment(t *testing.T) {
	want := time.Unix(1400000300, 0)
	for _, v := range []any{
		json.Number("1400000300"), "2014-05-13T16:58:20Z", "2014-05-13T18:58:20+02:00",
	} {
		if got, err := seconds.Moment(v); err != nil || !got.Equal(want) {
			t.Errorf("%v: %v, %v", v, got, err)
		}
	}
	for _, v := range []any{
		"1400000300", "2014-05-13", "2014-05-13T16:58:20,5Z", "1969-12-31T23:59:59Z", true,
	} {
		if got, err := seconds.Moment(v); err == nil {
			t.Errorf("%v: %v", v, got)
		}
	}
}

func TestDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"0": 0, "1.5": 1500 * time.Millisecond, "300": 5 * time.Minute, "1e11": math.MaxInt64,
	} {
		if got, err := seconds.Duration(json.Number(text)); err != nil || got != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	if got, err := seconds.Duration(json.Number("-1")); err == nil {
		t.Errorf("-1: %v", got)
	}
}

func TestNumber(t *testing.T) {
	for text, at := range map[string]time.Time{
		"0": time.Unix(0, 0), "1400000300.5": time.Unix(1400000300, 5e8),
		"1400000300.000000001": time.Unix(1400000300, 1),
		"253402300799":         time.Unix(seconds.End-1, 0),
	} {
		if got, err := seconds.Number(at); err != nil || string(got) != text {
			t.Errorf("%s: %s, %v", text, got, err)
		}
	}
	for _, at := range []time.Time{time.Unix(-1, 0), time.Unix(seconds.End, 0), {}} {
		if got, err := seconds.Number(at); err == nil {
			t.Errorf("%v: %s", at, got)
		}
	}
}
