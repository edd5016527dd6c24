package authtest

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Seen is what a [Service] has seen since it was made. It holds no secret.
type Seen struct {
	Requests    int // to all but the two below, whatever became of them
	Accepted    int // of those: with good credentials
	Provisioned int // calls of /provision and /token, whatever became of them
	Issued      int // of those: answered with credentials that are new

	// Refused counts the Requests that were refused, by the reason:
	//
	//	none       no credentials
	//	malformed  a MAC outside the grammar
	//	stale      a timestamp or a token that the clock of the service disagrees with
	//	nonce      a nonce that was used before
	//	expired    credentials that have ended
	//	revoked    credentials that were withdrawn
	//	lag        credentials that this replica does not know yet
	//	invalid    unknown credentials, or a wrong MAC or signature
	Refused map[string]int

	// Log has every request, calls for credentials included, in the order of their answers.
	Log []Entry
}

// An Entry is a request that a [Service] has seen. It has no header field, query or body.
type Entry struct {
	Time    time.Time // by this machine's clock
	Method  string
	Host    string
	Path    string
	Body    int64  // bytes of its body that were read
	Status  int    // of the answer; 0: none, the connection was closed
	Refused string // why, as in Seen.Refused; "": it was not
}

// String is a line such as "GET api.example.com/items: 401 stale".
func (e Entry) String() string {
	status := "connection closed"
	if e.Status != 0 {
		status = strconv.Itoa(e.Status)
	}
	return strings.TrimSpace(fmt.Sprintf("%s %s%s: %s %s",
		e.Method, e.Host, e.Path, status, e.Refused))
}

// Seen returns what s has seen until now: a copy.
func (s *Service) Seen() Seen {
	c := s.core()
	c.mu.Lock()
	defer c.mu.Unlock()
	seen := c.seen
	seen.Refused = maps.Clone(c.seen.Refused)
	seen.Log = slices.Clone(c.seen.Log)
	return seen
}
