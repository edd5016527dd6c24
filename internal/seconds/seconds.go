// Package seconds reads and writes times and durations as the numbers of seconds that are in JSON.
package seconds

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// End is the first second of the year 10000, which RFC 3339 cannot write.
const End = 253402300800

// read reads a number of seconds. A decimal is exact to the nanosecond. A number beyond the year
// 9999 counts as the last second of that year. read refuses a value that is not a number, is
// negative, or is not a finite double.
func read(v any) (sec, nsec int64, err error) {
	n, ok := v.(json.Number)
	if !ok {
		return 0, 0, errors.New("not a number")
	}
	f, err := n.Float64()
	switch {
	case err != nil:
		return 0, 0, errors.New("out of range")
	case strings.HasPrefix(n.String(), "-"):
		return 0, 0, errors.New("negative")
	case f > End:
		return End - 1, 0, nil
	case strings.ContainsAny(n.String(), "eE"):
		whole, fraction := math.Modf(f)
		return min(int64(whole), End-1), int64(fraction * 1e9), nil
	}
	whole, fraction, _ := strings.Cut(n.String(), ".")
	if sec, err = strconv.ParseInt(whole, 10, 64); err != nil || sec >= End {
		return End - 1, 0, err
	}
	nsec, err = strconv.ParseInt((fraction + "000000000")[:9], 10, 64)
	return sec, nsec, err
}

// Time reads seconds since 1970. A decimal is exact to the nanosecond, and a time beyond the year
// 9999 becomes the last second of that year. Time refuses a value that is not a number, is
// negative, or is too large for a double.
func Time(v any) (time.Time, error) {
	sec, nsec, err := read(v)
	if err != nil {
		return time.Time{}, err
	}
	return time.Unix(sec, nsec).UTC(), nil
}

// Moment reads seconds since 1970, like Time, or a time in the format of RFC 3339.
func Moment(v any) (time.Time, error) {
	text, ok := v.(string)
	if !ok {
		return Time(v)
	}
	t, err := time.Parse(time.RFC3339, text)
	switch {
	case err != nil || strings.Contains(text, ","): // package time accepts a decimal comma
		return time.Time{}, errors.New("neither a number nor a time of RFC 3339")
	case t.Unix() < 0 || t.Unix() >= End:
		return time.Time{}, errors.New("before 1970 or after the year 9999")
	}
	return t.UTC(), nil
}

// Duration reads seconds. It returns at most the longest time.Duration, which is about 292 years.
func Duration(v any) (time.Duration, error) {
	sec, nsec, err := read(v)
	if err != nil {
		return 0, err
	}
	if sec >= math.MaxInt64/int64(time.Second) {
		return math.MaxInt64, nil
	}
	return time.Duration(sec)*time.Second + time.Duration(nsec), nil
}

// Number writes seconds since 1970. It is the inverse of Time.
func Number(t time.Time) (json.Number, error) {
	sec := t.Unix()
	if sec < 0 || sec >= End {
		return "", errors.New("before 1970 or after the year 9999")
	}
	text := strconv.FormatInt(sec, 10)
	if nsec := t.Nanosecond(); nsec != 0 {
		text += strings.TrimRight(fmt.Sprintf(".%09d", nsec), "0")
	}
	return json.Number(text), nil
}
