package provision

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// endOfTime is the first second of the year 10000, which RFC 3339 cannot write any more.
const endOfTime = 253402300800

// readSeconds reads a number of seconds, as a time since 1970 and as a duration. Decimals are
// exact to the nanosecond; what is beyond the year 9999 counts as its last second. It refuses what
// is no number, what is negative and what is no finite double.
func readSeconds(v any) (sec, nsec int64, err error) {
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
	case f > endOfTime:
		return endOfTime - 1, 0, nil
	case strings.ContainsAny(n.String(), "eE"):
		whole, fraction := math.Modf(f)
		return min(int64(whole), endOfTime-1), int64(fraction * 1e9), nil
	}
	whole, fraction, _ := strings.Cut(n.String(), ".")
	if sec, err = strconv.ParseInt(whole, 10, 64); err != nil || sec >= endOfTime {
		return endOfTime - 1, 0, err
	}
	nsec, err = strconv.ParseInt((fraction + "000000000")[:9], 10, 64)
	return sec, nsec, err
}

func readTime(v any) (time.Time, error) {
	sec, nsec, err := readSeconds(v)
	if err != nil {
		return time.Time{}, err
	}
	return time.Unix(sec, nsec).UTC(), nil
}

// readMoment reads seconds since 1970, or a time as RFC 3339 writes it.
func readMoment(v any) (time.Time, error) {
	text, ok := v.(string)
	if !ok {
		return readTime(v)
	}
	t, err := time.Parse(time.RFC3339, text)
	switch {
	case err != nil || strings.Contains(text, ","): // which package time takes for a point
		return time.Time{}, errors.New("neither a number nor a time of RFC 3339")
	case t.Unix() < 0 || t.Unix() >= endOfTime:
		return time.Time{}, errors.New("before 1970 or after the year 9999")
	}
	return t.UTC(), nil
}

// readDuration returns at most the longest Duration, which is some 292 years.
func readDuration(v any) (time.Duration, error) {
	sec, nsec, err := readSeconds(v)
	if err != nil {
		return 0, err
	}
	if sec >= math.MaxInt64/int64(time.Second) {
		return math.MaxInt64, nil
	}
	return time.Duration(sec)*time.Second + time.Duration(nsec), nil
}

// writeTime is the inverse of readTime.
func writeTime(t time.Time) (json.Number, error) {
	sec := t.Unix()
	if sec < 0 || sec >= endOfTime {
		return "", errors.New("before 1970 or after the year 9999")
	}
	text := strconv.FormatInt(sec, 10)
	if nsec := t.Nanosecond(); nsec != 0 {
		text += strings.TrimRight(fmt.Sprintf(".%09d", nsec), "0")
	}
	return json.Number(text), nil
}
