package main

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/mac"
)

// This file pretends that the clock of the service is wrong, to show how clients react. A real
// service does not need it.

// now returns the time by the clock of the service.
func (s *service) now() time.Time { return time.Now().Add(s.skew) }

// skewed returns an Authenticator that is v with the clock of the service.
func (s *service) skewed(v *mac.Verifier) auth.Authenticator {
	if s.skew == 0 {
		return v
	}
	v.Window = s.skew.Abs() + window // v uses the right clock, and must still accept
	return &skewed{v, s.now}
}

// window is the default Window of a mac.Verifier.
const window = time.Minute

// skewed is a mac.Verifier that judges timestamps by another clock.
type skewed struct {
	*mac.Verifier
	now func() time.Time
}

// Authenticate checks only the timestamp, and leaves the rest to the Verifier.
func (s *skewed) Authenticate(req *http.Request) (*auth.Identity, error) {
	_, rest, _ := strings.Cut(req.Header.Get("Authorization"), `ts="`)
	ts, _, _ := strings.Cut(rest, `"`)
	seconds, err := strconv.ParseInt(ts, 10, 64)
	if err == nil && s.now().Sub(time.Unix(seconds, 0)).Abs() > window {
		return nil, mac.ErrStale
	}
	return s.Verifier.Authenticate(req)
}

// Challenge sends the time by the other clock.
func (s *skewed) Challenge(h http.Header, req *http.Request, err error) {
	if errors.Is(err, mac.ErrStale) {
		seconds := strconv.FormatInt(s.now().Unix(), 10)
		h.Add("WWW-Authenticate", `MAC error="stale", ts="`+seconds+`"`)
		return
	}
	s.Verifier.Challenge(h, req, err)
}

// dated sets the Date of the answers of next to the time by the clock of the service. A client that
// was refused for any reason compares it with its own.
func (s *service) dated(next http.Handler) http.Handler {
	if s.skew == 0 {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Date", s.now().UTC().Format(http.TimeFormat))
		next.ServeHTTP(w, req)
	})
}
