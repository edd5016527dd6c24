package portal

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
)

// Reasons why the user of a shadow file's line is refused.
var (
	errExpired = errors.New("the account has expired, as its column 8 says")
	errAged    = errors.New("the password has expired, as its columns 3 and 5 say: " +
		"have the user change it")
)

// shadowEnd returns the time from which the system refuses the user of a shadow file's line
// (shadow(5)), and the reason. The zero time means never. A line counts as a shadow file's line if
// it has nine columns of which the third to the eighth are integers or empty.
//
// The rules follow pam_unix: days count from 1970-01-01 UTC, and -1 is like an empty column. Column
// 7, the days of grace, makes no difference: in that time a user has to change the password, which
// a Checker cannot do for them.
func shadowEnd(text string) (end time.Time, reason error) {
	columns := strings.Split(text, ":")
	if len(columns) != 9 {
		return time.Time{}, nil
	}
	var days [6]int64
	for i := range days {
		var ok bool
		if days[i], ok = shadowDays(columns[2+i]); !ok {
			return time.Time{}, nil
		}
	}
	changed, longest, expires := days[0], days[2], days[5]
	until := int64(math.MaxInt64)
	if changed != -1 && longest != -1 {
		until, reason = changed+longest+1, errAged
	}
	if changed == 0 { // the user has to change the password at the next login
		until, reason = 0, errAged
	}
	if expires != -1 && expires <= until {
		until, reason = expires, errExpired
	}
	if reason == nil {
		return time.Time{}, nil
	}
	return time.Unix(until*24*60*60, 0), reason
}

// shadowDays parses a number of days, -1 for none. Numbers that are too large or too small for a
// calculation become the largest or smallest that is possible.
func shadowDays(column string) (days int64, ok bool) {
	if column == "" {
		return -1, true
	}
	days, err := strconv.ParseInt(column, 10, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0, false
	}
	const most = 1 << 40
	return max(-most, min(days, most)), column[0] != '+'
}
