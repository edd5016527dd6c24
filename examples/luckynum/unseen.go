package main

import (
	"errors"
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/countersign-go/countersign/auth"
)

// unseenTime is how long a browser may take to follow a redirect.
const unseenTime = time.Minute

// unseen are the ids of keys that were made on the site and not shown yet.
type unseen struct {
	mu    sync.Mutex // guards until
	until map[string]time.Time
}

// add adds an id, and removes those whose time is over. Their number is bounded by how often users
// may make keys.
func (u *unseen) add(id string, now time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for old, until := range u.until {
		if !now.Before(until) {
			delete(u.until, old)
		}
	}
	if u.until == nil {
		u.until = map[string]time.Time{}
	}
	u.until[id] = now.Add(unseenTime)
}

// take reports whether the id was added within unseenTime. It removes the id, so it reports true
// only once.
func (u *unseen) take(id string, now time.Time) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	until, ok := u.until[id]
	delete(u.until, id)
	return ok && now.Before(until)
}

// retryAfter returns the time until another try makes sense, or 0 if err does not have one.
func retryAfter(err error) time.Duration {
	if e, ok := errors.AsType[auth.DelayError](err); ok {
		return e.RetryAfter()
	}
	return 0
}

// postpone answers that the client should send the request again after wait, which counts as at
// least one second.
func postpone(w http.ResponseWriter, status int, text string, wait time.Duration) {
	seconds := max(1, math.Ceil(wait.Seconds()))
	w.Header().Set("Retry-After", strconv.FormatFloat(seconds, 'f', 0, 64))
	http.Error(w, text, status)
}
