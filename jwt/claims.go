package jwt

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/countersign-go/countersign/internal/jose"
	"github.com/countersign-go/countersign/internal/strictjson"
)

// A problem is a reason to refuse a token. Its text holds no part of the token.
type problem string

func (p problem) Error() string { return string(p) }

const (
	errAlg        problem = "its alg is not the alg of the key"
	errSignature  problem = "the signature is wrong"
	errKind       problem = "its typ names another kind of token"
	errClaimsJSON problem = "its claims"

	errExpired    problem = "it has expired"
	errNoExpiry   problem = "it has no exp"
	errNotYet     problem = "its nbf lies ahead"
	errFromAhead  problem = "its iat lies ahead"
	errDate       problem = "its exp, nbf or iat is not a number of seconds from 0 to 2^53"
	errAudience   problem = "its aud names other services"
	errNoAudience problem = "it has no aud"
	errIssuer     problem = "its iss is not the one expected"
	errSubject    problem = "its sub is neither text nor a number"
	errNoSub      problem = "its sub is empty or is not a whole number"
	errRevoked    problem = "it was revoked"
)

// claimNames are the registered claims of RFC 7519, section 4.1.
var claimNames = []string{"iss", "sub", "aud", "exp", "nbf", "iat", "jti"}

// readClaims reads the payload of a genuine token.
func readClaims(payload []byte) (map[string]any, error) {
	claims, err := strictjson.Object(payload)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errClaimsJSON, err)
	}
	if jose.Similar(claims, claimNames) {
		return nil, jose.ErrSimilar
	}
	for _, name := range []string{"iss", "jti"} {
		if v, ok := claims[name]; ok {
			if _, ok := v.(string); !ok {
				return nil, jose.ErrNotText
			}
		}
	}
	switch claims["sub"].(type) {
	case nil, string, json.Number:
		return claims, nil
	}
	return nil, errSubject
}

// checkTimes checks exp, nbf and iat (RFC 7519, sections 4.1.4 to 4.1.6). A token has expired as
// soon as the second of its exp begins.
func (v *Verifier) checkTimes(claims map[string]any, now time.Time) error {
	exp, hasExp, err := date(claims, "exp")
	if err != nil {
		return err
	}
	nbf, hasNBF, err := date(claims, "nbf")
	if err != nil {
		return err
	}
	iat, hasIAT, err := date(claims, "iat")
	latest := now.Add(v.Leeway)
	switch {
	case err != nil:
		return err
	case !hasExp && !v.NoExpiry:
		return errNoExpiry
	case hasExp && !now.Before(exp.Add(v.Leeway)):
		return errExpired
	case hasNBF && nbf.After(latest):
		return errNotYet
	case hasIAT && iat.After(latest):
		return errFromAhead
	}
	return nil
}

// date returns a claim that is a NumericDate (RFC 7519, section 2). It refuses 2^53 seconds and
// more, where a float64 is not exact and other parsers would see other times.
func date(claims map[string]any, name string) (t time.Time, present bool, err error) {
	value, present := claims[name]
	if !present {
		return time.Time{}, false, nil
	}
	number, ok := value.(json.Number)
	if !ok {
		return time.Time{}, true, errDate
	}
	seconds, err := strconv.ParseFloat(number.String(), 64)
	if err != nil || math.Signbit(seconds) || seconds >= 1<<53 {
		return time.Time{}, true, errDate
	}
	whole, fraction := math.Modf(seconds)
	return time.Unix(int64(whole), int64(fraction*1e9)), true, nil
}

// checkAudience checks aud (RFC 7519, section 4.1.3), which is a string or a list of strings.
func (v *Verifier) checkAudience(claims map[string]any) error {
	var named []string
	switch aud := claims["aud"].(type) {
	case string:
		if aud != "" {
			named = []string{aud}
		}
	case []any:
		for _, a := range aud {
			text, ok := a.(string)
			if !ok {
				return errAudience
			}
			named = append(named, text)
		}
	default:
		if _, present := claims["aud"]; present {
			return errAudience
		}
	}
	if len(named) == 0 {
		if len(v.Audience) > 0 {
			return errNoAudience
		}
		return nil
	}
	isOurs := func(name string) bool { return slices.Contains(v.Audience, name) }
	if !slices.ContainsFunc(named, isOurs) {
		return errAudience
	}
	return nil
}

// subject returns the subject of a token: a sub that is a string, or a whole number as the token
// spells it.
func subject(claims map[string]any) (string, error) {
	switch sub := claims["sub"].(type) {
	case string:
		if sub != "" {
			return sub, nil
		}
	case json.Number:
		for i := range len(sub) {
			if sub[i] < '0' || sub[i] > '9' {
				return "", errNoSub
			}
		}
		return sub.String(), nil
	}
	return "", errNoSub
}
