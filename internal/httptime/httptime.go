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

// Now returns the time by the server's clock when the answer with header h arrived. It is what
// X-Timestamp says, in seconds since 1970 as Mozilla's services have it, or else Date, plus the Age
// that a cache has added (RFC 9111, section 4.2.3). Of a time in whole seconds, Now returns the
// middle of the second. It reports false if there is no such field, or if a field that it needs
// cannot be read.
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

// MidSecond returns the middle of the second that t begins, and t itself if t has a fraction. A
// clock that tells whole seconds is half a second behind on average.
func MidSecond(t time.Time) time.Time {
	if t.Nanosecond() == 0 {
		return t.Add(time.Second / 2)
	}
	return t
}

// Age returns how long ago the server made the answer with header h, as the caches on its way say
// (RFC 9111, section 5.1); 0 if none says so. It reports false if the field cannot be read. Of
// several values, the largest counts: the answer is at least as old as a cache says.
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
// answer tells it, and else with received. RetryAfter returns 0 if there is nothing to wait for: no
// field, one that cannot be read, no seconds, or a date that has passed.
func RetryAfter(h http.Header, received time.Time) time.Duration {
	return Wait(h, "Retry-After", received)
}

// Wait is [RetryAfter] for any field of that form.
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

// seconds reads a number of whole seconds. One that is too large is the longest Duration.
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

// ParseTime reads a date in one of the three forms of RFC 9110, section 5.6.7. Some servers write
// the first of them by themselves and get it slightly wrong. Since their time is not in doubt,
// ParseTime also takes letters of any case, and UTC or an offset such as +0000 in place of GMT.
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

// timestamp reads whole seconds, or seconds with decimals, of which it takes up to nine.
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
