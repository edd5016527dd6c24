// Package httptime reads times from the header of an answer: the server's clock, the age of the
// answer, and how long the server asks its clients to wait.
package httptime

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Now returns the time by the server's clock when the answer with header h arrived. That is the
// time in X-Timestamp, in seconds since 1970 as in Mozilla's services, or else in Date, plus the
// Age that a cache has added (RFC 9111, section 4.2.3). For a time in whole seconds, Now returns
// the middle of the second. It reports false if h has neither field, or if it cannot parse a field
// that it needs.
func Now(h http.Header) (time.Time, bool) {
	age, ok := Age(h)
	if !ok {
		return time.Time{}, false
	}
	if t, ok := timestamp(h.Get("X-Timestamp")); ok {
		return t.Add(age), true
	}
	t, err := ParseTime(h.Get("Date"))
	return MidSecond(t).Add(age), err == nil
}

// MidSecond returns t plus half a second, or t itself if t has a fraction. The reason is that a
// time in whole seconds is half a second behind on average.
func MidSecond(t time.Time) time.Time {
	if t.Nanosecond() == 0 {
		return t.Add(time.Second / 2)
	}
	return t
}

// Age returns how long ago the server made the answer with header h, as stated by the caches on its
// path (RFC 9111, section 5.1). It returns 0 if there is no Age field, and reports false if it
// cannot parse the field. Of several values, it returns the largest, since the answer is at least
// as old as any cache says.
func Age(h http.Header) (time.Duration, bool) {
	var age time.Duration
	for _, line := range h["Age"] {
		for value := range strings.SplitSeq(line, ",") {
			d, ok := seconds(strings.TrimSpace(value))
			if !ok {
				return 0, false
			}
			age = max(age, d)
		}
	}
	return age, true
}

// RetryAfter returns how long the answer with header h, which arrived at the time received, asks
// its client to wait (RFC 9110, section 10.2.3). A date is compared with the server's clock if the
// answer states its time, or else with received. RetryAfter returns 0 if the field is missing or
// cannot be parsed, if it has zero seconds, or if its date has passed.
func RetryAfter(h http.Header, received time.Time) time.Duration {
	return Wait(h, "Retry-After", received)
}

// Wait is like [RetryAfter] for any field of the same form.
func Wait(h http.Header, field string, received time.Time) time.Duration {
	value := h.Get(field)
	if d, ok := seconds(value); ok {
		return d
	}
	end, err := ParseTime(value)
	if err != nil {
		return 0
	}
	now, ok := Now(h)
	if !ok {
		now = received
	}
	return max(0, end.Sub(now.Truncate(time.Second))) // the date is in whole seconds too
}

// seconds parses a number of whole seconds. If the number is too large, it returns the longest
// Duration.
func seconds(text string) (time.Duration, bool) {
	if text == "" || strings.Trim(text, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n > int64(math.MaxInt64/time.Second) {
		return math.MaxInt64, true
	}
	return time.Duration(n) * time.Second, true
}

// ParseTime parses a date in one of the three forms of RFC 9110, section 5.6.7. Some servers write
// the first form slightly wrong. If the time is still clear, ParseTime accepts it: with letters of
// any case, and with UTC or an offset such as +0000 in place of GMT.
func ParseTime(text string) (time.Time, error) {
	t, err := http.ParseTime(text)
	if err == nil {
		return t, nil
	}
	i := strings.LastIndexByte(text, ' ') + 1
	switch zone := strings.ToUpper(text[i:]); zone {
	case "GMT", "UTC", "UT", "Z":
		text = text[:i] + "+0000"
	}
	return time.Parse("Mon, 02 Jan 2006 15:04:05 -0700", text)
}

// timestamp parses whole seconds, or seconds with decimals, of which it uses up to nine.
func timestamp(text string) (time.Time, bool) {
	whole, fraction, decimals := strings.Cut(text, ".")
	sec, err := strconv.ParseUint(whole, 10, 38) // some years beyond 9999
	if err != nil {
		return time.Time{}, false
	}
	if !decimals {
		return MidSecond(time.Unix(int64(sec), 0)), true
	}
	nsec, err := strconv.ParseUint((fraction + "000000000")[:9], 10, 32)
	return time.Unix(int64(sec), int64(nsec)), err == nil
}
