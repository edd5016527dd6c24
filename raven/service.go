package raven

import "crypto/rsa"

// A Service describes a login service: its addresses, and how to check its answers. Most programs
// use [Live], or [Demo] for a trial; for another login service, fill in a Service. It must not be
// changed while it is in use.
type Service struct {
	// LoginURL and LogoutURL are the addresses to which the browser is sent to log in and out. The
	// protocol requires https.
	LoginURL, LogoutURL string
	// Keys are the public keys of the service. It can change its key while several are listed.
	Keys Keys
	// PTags are the ptags of a success in versions 1 and 2, which cannot carry any. If nil, none.
	PTags []string
	// AuthTypes are the authentication types that an answer may name. If nil, only [AuthPassword].
	AuthTypes []string
}

// Keys are the public keys of a service by key identifier (kid): 1 to 8 digits without leading
// zeros. The identifier in an answer is used only to look up the key here.
type Keys map[string]*rsa.PublicKey

// The fingerprints of the operator's keys, as [Fingerprint] computes them.
const (
	liveFingerprint = "813ab90a52018aff372740e1baa571273d3573fff8d908952a87c19093522afd"
	demoFingerprint = "d61f4109c85e19bf58a4e7efaf822a4cf1b97a1dd25dcdd363b6d2386ec41a77"
)

const demoKey = `-----BEGIN RSA PUBLIC KEY-----
MIGJAoGBALhFi9tIZvjYQQRfOzP3cy5ujR91ZntQnQehldByHlchHRmXwA1ot/e1
WlHPgIjYkFRWlSNcSDM5r7BkFu69zM66IHcF80NIopBp+3FYqi5uglEDlpzFrd+v
Yllzw7lBzUnpCrwTxyO5JBaWnFMZrQkSdspXv89VQUO4V4QjXV7/AgMBAAE=
-----END RSA PUBLIC KEY-----`

// Demo returns the operator's demonstration service. Its passwords are public: do not use it to
// protect anything that matters. Its key, with kid 901, has the fingerprint
//
//	d61f4109c85e19bf58a4e7efaf822a4cf1b97a1dd25dcdd363b6d2386ec41a77
//
// Each call returns a new Service.
func Demo() *Service {
	key, err := readKey([]byte(demoKey), demoFingerprint)
	if err != nil {
		key = nil // no answer verifies with a nil key; a test checks that the constant parses
	}
	return operated("https://demo.raven.cam.ac.uk", Keys{"901": key})
}

// Live returns the operator's live service. Its key, with kid 2, is not part of this package:
// download it from the operator, and pass its PEM. Live returns an error that wraps [ErrKey] unless
// the key has the fingerprint
//
//	813ab90a52018aff372740e1baa571273d3573fff8d908952a87c19093522afd
//
// Compare this fingerprint with the one that the operator publishes. If the service has changed its
// key, make a [Service] with the new one.
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
