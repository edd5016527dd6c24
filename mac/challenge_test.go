package mac_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/mac"
	"github.com/countersign-go/countersign/transport"
)

func TestRead(t *testing.T) {
	at := func(seconds int64) time.Time { return time.Unix(seconds, 0) }
	tests := []struct {
		lines []string
		cause transport.Cause
		time  time.Time
	}{
		{nil, transport.CauseUnknown, time.Time{}},
		{[]string{}, transport.CauseUnknown, time.Time{}},
		{[]string{""}, transport.CauseUnknown, time.Time{}},
		{[]string{"Basic realm=\"x\""}, "", time.Time{}},
		{[]string{"Negotiate"}, "", time.Time{}},
		{[]string{"Bearer error=\"stale\""}, "", time.Time{}},
		{[]string{"\x00"}, "", time.Time{}}, // malformed, but not of our scheme
		{[]string{"MAC"}, transport.CauseUnknown, time.Time{}},
		{[]string{"mac"}, transport.CauseUnknown, time.Time{}}, // RFC 9110: in any case
		{[]string{"MAC error=\"no\""}, transport.CauseUnknown, time.Time{}},
		{[]string{"MAC error=\"Stale\""}, transport.CauseUnknown, time.Time{}},
		{[]string{"MAC error=\"stale\""}, transport.CauseStale, time.Time{}},
		{[]string{"MAC error=stale, ts=1336363200"}, transport.CauseStale, at(1336363200)},
		{[]string{"MAC error=\"stale\", ts=\"1336363200\""}, transport.CauseStale, at(1336363200)},
		{[]string{"MAC ts=999999999999999, ERROR=\"stale\""}, transport.CauseStale,
			at(999999999999999)},
		{[]string{"MAC error=\"stale\", ts=\"0\""}, transport.CauseStale, time.Time{}},
		{[]string{"MAC error=\"stale\", ts=\"-1\""}, transport.CauseStale, time.Time{}},
		{[]string{"MAC error=\"stale\", ts=\"01\""}, transport.CauseStale, time.Time{}},
		{[]string{"MAC error=\"stale\", ts=\"1e9\""}, transport.CauseStale, time.Time{}},
		{[]string{"MAC error=\"stale\", ts=\"1000000000000000\""}, transport.CauseStale,
			time.Time{}},
		{[]string{"MAC error=\"nonce\", ts=\"1336363200\""}, transport.CauseNonce, time.Time{}},
		{[]string{"MAC error=\"Duplicate nonce\""}, transport.CauseNonce, time.Time{}},
		{[]string{"MAC error=\"expired\""}, transport.CauseCredential, time.Time{}},
		{[]string{"MAC error=\"invalid\""}, transport.CauseCredential, time.Time{}},
		{[]string{"MAC error=\"MAC credentials expired\""}, transport.CauseCredential, time.Time{}},
		{[]string{"Basic realm=\"x\", MAC error=\"nonce\""}, transport.CauseNonce, time.Time{}},
		{[]string{"Basic realm=\"x\"", "MAC error=\"nonce\""}, transport.CauseNonce, time.Time{}},
		{[]string{"MAC", "Basic realm=\"x\""}, transport.CauseUnknown, time.Time{}},
		{[]string{"MAC, MAC error=\"nonce\""}, transport.CauseNonce, time.Time{}},
		{[]string{"MAC error=\"expired\", MAC error=\"nonce\""}, transport.CauseCredential,
			time.Time{}},
		{[]string{"Basic realm=\"MAC error=nonce\""}, "", time.Time{}},
		// A challenge that names our scheme and cannot be parsed is unknown, alone and beside
		// others.
		{[]string{"MAC error=\"stale"}, transport.CauseUnknown, time.Time{}},
		{[]string{"MAC error=\"stale\" ts=\"1\""}, transport.CauseUnknown, time.Time{}},
		{[]string{"MAC: error=\"stale\""}, transport.CauseUnknown, time.Time{}},
		{[]string{"MACerror=\"stale\""}, transport.CauseUnknown, time.Time{}},
		{[]string{"MAC ts=1, ts=2"}, transport.CauseUnknown, time.Time{}},
		{[]string{"Negotiate", "MAC error=\"stale"}, transport.CauseUnknown, time.Time{}},
		{[]string{"Basic realm=\"x\", MAC error=\"stale"}, transport.CauseUnknown, time.Time{}},
		{[]string{"Basic realm=\"x\" MAC error=\"stale\""}, transport.CauseUnknown, time.Time{}},
		{[]string{"MAC error=\"a\"; b", "MAC error=\"nonce\""}, transport.CauseNonce, time.Time{}},
		{[]string{"Basic realm=\"x"}, "", time.Time{}},
		{[]string{"Macaroon {"}, "", time.Time{}},
	}
	for _, test := range tests {
		resp := &http.Response{Header: http.Header{"Www-Authenticate": test.lines}}
		got := new(mac.Signer).Read(resp)
		if got.Cause != test.cause || !got.ServerTime.Equal(test.time) {
			t.Errorf("%q: %+v, want %q, %v", test.lines, got, test.cause, test.time)
		}
	}
}

// cache is a Source that accepts reports like a creds.Cache, without the rules of creds.Cache on
// when to fetch.
type cache struct {
	now       *mac.Credentials
	next      *mac.Credentials
	err       error
	failed    error
	rejects   int
	confirmed *mac.Credentials
}

func (c *cache) Credentials(context.Context) (*mac.Credentials, error) { return c.now, c.err }

func (c *cache) Reject(bad func(*mac.Credentials) bool, _ http.Header) {
	c.rejects++
	if bad(c.now) {
		c.now = c.next
	}
}

// Err returns the reason why now did not change.
func (c *cache) Err() error { return c.failed }

func (c *cache) Confirm(good func(*mac.Credentials) bool) {
	if good(c.now) {
		c.confirmed = c.now
	}
}

var (
	_ creds.Rejecter[*mac.Credentials]  = (*cache)(nil)
	_ creds.Confirmer[*mac.Credentials] = (*creds.Cache[*mac.Credentials])(nil)
)

// answer returns a server's response to a request that s signed.
func answer(t *testing.T, s *mac.Signer, url string) *http.Response {
	t.Helper()
	req := newRequest(t, "POST", url)
	if err := s.Sign(req, testTime); err != nil {
		t.Fatal(err)
	}
	return &http.Response{StatusCode: 401, Request: req}
}

func TestRefresh(t *testing.T) {
	down := errors.New("down")
	old := &mac.Credentials{ID: "one", Key: []byte("k1")}
	copied := &mac.Credentials{ID: "one", Key: []byte("k1"), Expires: testTime}
	rekeyed := &mac.Credentials{ID: "one", Key: []byte("k2")}
	rehashed := &mac.Credentials{ID: "one", Key: []byte("k1"), Algorithm: mac.SHA1}
	newer := &mac.Credentials{ID: "two", Key: []byte("k1")}
	tests := []struct {
		name     string
		now      *mac.Credentials // in the Source when the refusal comes
		next     *mac.Credentials // in the Source after now was rejected
		err      error
		again    bool
		rejected bool
	}{
		{"replaced", old, newer, nil, true, true},
		{"replaced by another key of the same id", old, rekeyed, nil, true, true},
		{"replaced by another algorithm", old, rehashed, nil, true, true},
		{"kept", old, old, nil, false, true},
		{"the same credential again", old, copied, nil, false, true},
		{"newer already", newer, nil, nil, true, false},
		{"rekeyed already", rekeyed, nil, nil, true, false},
		{"the fetch fails", old, newer, down, false, true},
		{"nothing comes, which Sign will tell", old, nil, nil, true, true},
	}
	for _, dialect := range []mac.Dialect{mac.Draft01, mac.WebOb} {
		for _, test := range tests {
			c := &cache{now: old, next: test.next}
			s := &mac.Signer{Source: c, Dialect: dialect, Ext: fixed("e")}
			resp := answer(t, s, "https://example.com/a%2Fb?c")
			c.now = test.now
			if test.err == down {
				c.err = down
			}
			again, err := s.Refresh(resp)
			if again != test.again || !errors.Is(err, test.err) {
				t.Errorf("%s: %t, %v; want %t, %v", test.name, again, err, test.again, test.err)
			}
			if c.rejects != 1 || test.rejected != (c.now != test.now || test.next == test.now) {
				t.Errorf("%s: rejected %d times, now %v", test.name, c.rejects, c.now)
			}
		}
	}
}

// TestRefreshKept has a Source whose fetch failed, so that it still returns the refused
// credentials.
func TestRefreshKept(t *testing.T) {
	c := &cache{now: testCreds, next: testCreds, failed: errors.New("down")}
	s := &mac.Signer{Source: c}
	resp := answer(t, s, "http://example.com/")
	if again, err := s.Refresh(resp); again || err != c.failed {
		t.Errorf("%t, %v, want the reason", again, err)
	}
	c.next = &mac.Credentials{ID: "next", Key: []byte("k")}
	if again, err := s.Refresh(resp); !again || err != nil {
		t.Errorf("with others: %t, %v", again, err)
	}
}

// TestRefreshPlainSource refreshes Sources that have no method to report a refusal to.
func TestRefreshPlainSource(t *testing.T) {
	s := &mac.Signer{Source: testCreds}
	if again, err := s.Refresh(answer(t, s, "http://example.com/")); again || err != nil {
		t.Errorf("credentials themselves: %t, %v", again, err)
	}
	now := testCreds
	s = &mac.Signer{Source: sourceFunc(func(context.Context) (*mac.Credentials, error) {
		return now, nil
	})}
	resp := answer(t, s, "http://example.com/")
	now = &mac.Credentials{ID: "next", Key: []byte("k")}
	if again, err := s.Refresh(resp); !again || err != nil {
		t.Errorf("changed meanwhile: %t, %v", again, err)
	}
}

// TestForeignRequest passes responses to requests that this Signer did not sign.
func TestForeignRequest(t *testing.T) {
	c := &cache{now: testCreds, next: testCreds}
	s := &mac.Signer{Source: c}
	for _, line := range []string{"", "Basic eDp5", "MAC", `MAC id="i"`} {
		req := newRequest(t, "GET", "http://example.com/")
		if line != "" {
			req.Header.Set("Authorization", line)
		}
		resp := &http.Response{Request: req}
		if again, err := s.Refresh(resp); again || err == nil {
			t.Errorf("%q: %t, %v", line, again, err)
		}
		observe(t, s, resp, transport.OutcomeMended)
	}
	bad := answer(t, s, "http://example.com/")
	bad.Request.URL.Opaque = "//other"
	for _, resp := range []*http.Response{{}, bad} {
		if again, err := s.Refresh(resp); again || err == nil {
			t.Errorf("%t, %v", again, err)
		}
		observe(t, s, resp, transport.OutcomeMended)
	}
	if _, err := new(mac.Signer).Refresh(bad); err == nil {
		t.Error("no Source, no error")
	}
	if c.rejects != 0 || c.confirmed != nil {
		t.Errorf("%d rejects, confirmed %v", c.rejects, c.confirmed)
	}
}

func TestObserve(t *testing.T) {
	c := &cache{now: testCreds}
	s := &mac.Signer{Source: c}
	resp := answer(t, s, "http://example.com/")
	observe(t, s, resp, transport.OutcomeNone)
	observe(t, s, resp, transport.OutcomeRefused)
	if c.confirmed != nil {
		t.Error("confirmed by a call that mended nothing")
	}
	observe(t, s, resp, transport.OutcomeMended)
	if c.confirmed != testCreds {
		t.Error("not confirmed")
	}
	c.now, c.confirmed = &mac.Credentials{ID: testCreds.ID, Key: []byte("newer")}, nil
	observe(t, s, resp, transport.OutcomeMended)
	if c.confirmed != nil {
		t.Error("another credential was confirmed")
	}
	// This Source does not accept reports.
	observe(t, &mac.Signer{Source: testCreds}, resp, transport.OutcomeMended)
}

// observe reports a response to o, and checks that o returns no error.
func observe(t *testing.T, o transport.Observer, resp *http.Response, outcome transport.Outcome) {
	t.Helper()
	if err := o.Observe(resp, outcome); err != nil {
		t.Error(err)
	}
}
