package mac

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/internal/authparam"
	"github.com/countersign-go/countersign/internal/clock"
	"github.com/countersign-go/countersign/transport"
)

// Challenge adds to h the challenge (section 4.1 of the draft) that answers err, an error of
// [Verifier.Authenticate]:
//
//	MAC                            the request has no MAC credentials, or they lack a scope
//	MAC error="stale", ts="..."    ErrStale; ts is this machine's time
//	MAC error="nonce"              ErrReplayed
//	MAC error="expired"            ErrExpired
//	MAC error="invalid"            any other error
//
// A Verifier detects a stale timestamp before it looks up the key, and a used nonce or an expired
// key only after the MAC was found correct. The challenge therefore does not tell an attacker which
// identifiers exist.
func (v *Verifier) Challenge(h http.Header, req *http.Request, err error) {
	challenge := scheme
	switch _, lacking := errors.AsType[*auth.ScopeError](err); {
	case err == nil || errors.Is(err, auth.ErrNone) || lacking:
	case errors.Is(err, ErrStale):
		now := strconv.FormatInt(clock.Now(req.Context()).Unix(), 10)
		challenge += ` error="stale", ts="` + now + `"`
	case errors.Is(err, ErrReplayed):
		challenge += ` error="nonce"`
	case errors.Is(err, ErrExpired):
		challenge += ` error="expired"`
	default:
		challenge += ` error="invalid"`
	}
	h.Add("WWW-Authenticate", challenge)
}

// Read reports why resp refused a request. It understands the challenges of [Verifier.Challenge],
// and the texts that auth_mac sends for a used nonce and for expired credentials. Of several MAC
// challenges, the first one with a known reason counts. The ServerTime is the ts of a stale
// challenge.
//
// The Cause is "" if resp has challenges for other schemes only. It is "unknown" if resp has no
// challenge, if no MAC challenge has a known reason, or if a MAC challenge is malformed.
func (s *Signer) Read(resp *http.Response) (refusal transport.Refusal) {
	challenges, err := authparam.Parse(resp.Header["Www-Authenticate"])
	if len(challenges) == 0 && err == nil {
		refusal.Cause = transport.CauseUnknown
		return refusal
	}
	for _, c := range challenges {
		if !c.Is(scheme) {
			continue
		}
		refusal.Cause = transport.CauseUnknown
		switch c.Param("error") {
		case "stale":
			refusal.Cause = transport.CauseStale
			if seconds, ok := parseSeconds(c.Param("ts")); ok {
				refusal.ServerTime = time.Unix(seconds, 0)
			}
			return refusal
		case "nonce", "Duplicate nonce":
			refusal.Cause = transport.CauseNonce
			return refusal
		case "expired", "invalid", "MAC credentials expired":
			refusal.Cause = transport.CauseCredential
			return refusal
		}
	}
	if err != nil && authparam.Names(resp.Header["Www-Authenticate"], scheme) {
		refusal.Cause = transport.CauseUnknown
	}
	return refusal
}
