package transport

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/countersign-go/countersign/internal/origin"
)

// ByOrigin is a [Signer] for several services: each origin, written like
// "https://api.example.com:8443", has a Signer of its own. Requests to any other origin are sent
// unsigned. A ByOrigin must not be changed once it is in use.
type ByOrigin map[string]Signer

var (
	_ Signer    = ByOrigin(nil)
	_ Refuser   = ByOrigin(nil)
	_ Reader    = ByOrigin(nil)
	_ Refresher = ByOrigin(nil)
	_ Observer  = ByOrigin(nil)
)

// Format writes the origins and the types of their Signers, under every verb. The Signers may hold
// secrets.
func (m ByOrigin) Format(f fmt.State, _ rune) {
	types := make(map[string]string, len(m))
	for text, signer := range m {
		types[text] = fmt.Sprintf("%T", signer)
	}
	fmt.Fprint(f, types)
}

// check returns an error for a mistake that would make the Transport send requests unsigned without
// a warning.
func (m ByOrigin) check() error {
	if len(m) == 0 {
		return &ConfigError{"Signer", "is a ByOrigin without any origin"}
	}
	for _, text := range slices.Sorted(maps.Keys(m)) {
		o, ok := origin.Parse(text)
		switch {
		case !ok:
			return notAnOrigin("Signer", text)
		case text != o.String():
			return &ConfigError{"Signer", fmt.Sprintf("has the origin %q: write it %q", text, o)}
		case isNil(m[text]):
			return &ConfigError{"Signer", fmt.Sprintf("has nil for %q", text)}
		}
	}
	return nil
}

// Check returns the first error of the Check methods of the Signers, in the order of their origins.
func (m ByOrigin) Check() error {
	if err := m.check(); err != nil {
		return err
	}
	for _, text := range slices.Sorted(maps.Keys(m)) {
		if err := checkAll(m[text]); err != nil {
			return fmt.Errorf("%s: %w", text, err)
		}
	}
	return nil
}

func (m ByOrigin) signer(req *http.Request) Signer { return m[origin.Of(req.URL).String()] }

// Sign signs req with the Signer of its origin. If the origin has none, req stays unsigned.
func (m ByOrigin) Sign(req *http.Request, now time.Time) error {
	if s := m.signer(req); s != nil {
		return s.Sign(req, now)
	}
	return nil
}

// Refused calls the [Refuser] of the origin of resp.Request.
func (m ByOrigin) Refused(resp *http.Response) bool { return m.faces(resp).refused(resp) }

// Read calls the [Reader] of the origin of resp.Request.
func (m ByOrigin) Read(resp *http.Response) Refusal { return m.faces(resp).read(resp) }

// Refresh calls the [Refresher] of the origin of resp.Request.
func (m ByOrigin) Refresh(resp *http.Response) (again bool, err error) {
	return m.faces(resp).refresh(resp)
}

// Observe calls the [Observer] of the origin of resp.Request.
func (m ByOrigin) Observe(resp *http.Response, o Outcome) error {
	return m.faces(resp).observe(resp, o)
}

func (m ByOrigin) faces(resp *http.Response) *faces {
	return facesOf(m, resp.Request, nil)
}
