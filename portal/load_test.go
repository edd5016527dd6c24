package portal_test

import (
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-go/countersign/portal"
)

// A file from a machine whose clock is ahead is not parsed at each login for as long as that is.
func TestFileOfTheFuture_S11(t *testing.T) {
	path := writeUsers(t, "ann:one\n")
	ahead := time.Now().Add(time.Hour).Truncate(time.Second)
	write := func(text string, at time.Time) {
		writeTo(t, path, text)
		if err := os.Chtimes(path, time.Time{}, at); err != nil {
			t.Fatal(err)
		}
	}
	// The clock of the bubble is years behind.
	synctest.Test(t, func(t *testing.T) {
		users := &portal.File{Path: path, PlainText: true}
		write("ann:one\n", ahead)
		wants(t, "at first", users, password("ann", "one"), "ann")
		write("ann:not\n", ahead)
		wants(t, "a change at once", users, password("ann", "not"), "ann")
		time.Sleep(2 * time.Second)
		write("ann:two\n", ahead)
		wants(t, "a change within the same tick", users, password("ann", "two"), "ann")
		time.Sleep(time.Millisecond)
		wants(t, "it has settled", users, password("ann", "two"), "ann")
		write("ann:ten\n", ahead)
		wants(t, "so it is not read again", users, password("ann", "two"), "ann")
		write("ann:six\n", ahead.Add(time.Second))
		wants(t, "a time changes", users, password("ann", "six"), "ann")
		write("ann:one\n", ahead.Add(time.Second))
		wants(t, "and has to settle", users, password("ann", "one"), "ann")
	})
}
