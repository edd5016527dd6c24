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
//	MAC                            there were no credentials of this scheme, or they lack a scope
//	MAC error="stale", ts="..."    ErrStale; ts is the time of this machine
//	MAC error="nonce"              ErrReplayed
//	MAC error="expired"            ErrExpired
//	MAC error="invalid"            anything else
//
// A stale timestamp is found out before the key is looked up, and the next two only after the MAC
// was found right, so that the answer tells a stranger nothing about an identifier.
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

// Read says what a refusal means: the challenges of [Verifier.Challenge], and the texts of auth_mac
// for a used nonce and for expired credentials. Of several MAC challenges, the first that gives a
// known reason counts. The Cause is "" if the answer challenges for other schemes only, and
// "unknown" without any challenge, without a known reason, or if a challenge for MAC is malformed.
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
