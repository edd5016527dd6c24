package raven

import "crypto/rsa"

// A Service is a login service: where it is, and how its answers are checked. A program makes one
// for a service of its own, or takes [Demo] or [Live]. It must not be changed while it is in use.
type Service struct {
	// LoginURL and LogoutURL are the addresses to which the browser is sent to log in and out. The
	// protocol wants https.
	LoginURL, LogoutURL string
	// Keys are the public keys of the service. Several at once let it change its key.
	Keys Keys
	// PTags are what a success in versions 1 and 2, which cannot carry any, says of its principal.
	// Nil means nothing.
	PTags []string
	// AuthTypes are the authentication types that an answer may name. Nil means [AuthPassword]
	// alone.
	AuthTypes []string
}

// Keys are the public keys of a service by key identifier (kid): 1 to 8 digits without leading
// zeros. An identifier is looked up here and used for nothing else.
type Keys map[string]*rsa.PublicKey

// What identifies the keys of the operator: the SHA-256 of the key as [Fingerprint] computes it.
const (
	liveFingerprint = "813ab90a52018aff372740e1baa571273d3573fff8d908952a87c19093522afd"
	demoFingerprint = "d61f4109c85e19bf58a4e7efaf822a4cf1b97a1dd25dcdd363b6d2386ec41a77"
)

const demoKey = `-----BEGIN RSA PUBLIC KEY-----
MIGJAoGBALhFi9tIZvjYQQRfOzP3cy5ujR91ZntQnQehldByHlchHRmXwA1ot/e1
WlHPgIjYkFRWlSNcSDM5r7BkFu69zM66IHcF80NIopBp+3FYqi5uglEDlpzFrd+v
Yllzw7lBzUnpCrwTxyO5JBaWnFMZrQkSdspXv89VQUO4V4QjXV7/AgMBAAE=
-----END RSA PUBLIC KEY-----`

// Demo returns the operator's demonstration service, where everybody knows the passwords: never let
// its answers into anything that matters. Its key, with kid 901, has the fingerprint
//
//	d61f4109c85e19bf58a4e7efaf822a4cf1b97a1dd25dcdd363b6d2386ec41a77
//
// Each call returns a Service of its own.
func Demo() *Service {
	key, err := readKey([]byte(demoKey), demoFingerprint)
	if err != nil {
		key = nil // which verifies nothing; a test reads the constant
	}
	return operated("https://demo.raven.cam.ac.uk", Keys{"901": key})
}

// Live returns the operator's live service. Its key, with kid 2, is not part of this package: fetch
// it from the operator, in PEM, and give it here. The error wraps [ErrKey] unless it has the
// fingerprint
//
//	813ab90a52018aff372740e1baa571273d3573fff8d908952a87c19093522afd
//
// which should be checked against what the operator publishes. Should the service have come to use
// another key, make a [Service] with that one.
func Live(pem []byte) (*Service, error) {
	key, err := readKey(pem, liveFingerprint)
	if err != nil {
		return nil, err
	}
	return operated("https://raven.cam.ac.uk", Keys{"2": key}), nil
}

func operated(base string, keys Keys) *Service {
	return &Service{
		LoginURL:  base + "/auth/authenticate.html",
		LogoutURL: base + "/auth/logout.html",
		Keys:      keys,
		PTags:     []string{"current"}, // versions 1 and 2 answer for current members only
	}
}

func readKey(pem []byte, fingerprint string) (*rsa.PublicKey, error) {
	key, err := ParseKey(pem)
	if err != nil {
		return nil, err
	}
	if got := Fingerprint(key); got != fingerprint {
		return nil, badKey("its fingerprint is %s, and not %s", got, fingerprint)
	}
	return key, nil
}
