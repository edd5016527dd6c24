package authtest

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Seen describes the requests that a [Service] has received since it was made. It holds no secrets.
type Seen struct {
	Requests    int // all except calls for credentials, whether answered or not
	Accepted    int // the Requests with valid credentials
	Provisioned int // calls of /provision and /token, whether answered or not
	Issued      int // the calls that were answered with new credentials

	// Refused counts the Requests that were refused, by the reason:
	//
	//	none       no credentials
	//	malformed  a MAC outside the grammar
	//	stale      a timestamp or a token that does not fit the service's clock
	//	nonce      a nonce that was used before
	//	expired    credentials that have expired
	//	revoked    credentials that were revoked
	//	lag        credentials that this replica does not know yet
	//	invalid    unknown credentials, or a wrong MAC or signature
	Refused map[string]int

	// Log has every request, including calls for credentials, in the order of their answers.
	Log []Entry
}

// An Entry is a request that a [Service] has received. It has no header fields, query or body.
type Entry struct {
	Time    time.Time // by this machine's clock
	Method  string
	Host    string
	Path    string
	Body    int64  // bytes of its body that were read
	Status  int    // of the answer; 0 if the connection was closed without one
	Refused string // the reason, as in Seen.Refused; empty if not refused
}

// String returns a line such as "GET api.example.com/items: 401 stale".
func (e Entry) String() string {
	status := "connection closed"
	if e.Status != 0 {
		status = strconv.Itoa(e.Status)
	}
	return strings.TrimSpace(fmt.Sprintf("%s %s%s: %s %s",
		e.Method, e.Host, e.Path, status, e.Refused))
}

// Seen returns a copy of the records of s up to now.
func (s *Service) Seen() Seen {
	c := s.core()
	c.mu.Lock()
	defer c.mu.Unlock()
	seen := c.seen
	seen.Refused = maps.Clone(c.seen.Refused)
	seen.Log = slices.Clone(c.seen.Log)
	return seen
}
