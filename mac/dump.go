package mac

import (
	"fmt"
	"net/http"
	"strings"
)

// Dump returns the base string of a request that carries a MAC, in a form for people. The first
// line shows the id. Each other line shows one line of the base string: its name, and its text in
// quotes with the line feed visible. Make a dump on both sides, and compare them to see where they
// differ. A dump holds neither the key nor the MAC. It does hold ext and the target with its query,
// so take care where you store it.
//
// Dump reads the request as v would, like [Explain]. If v is nil, the zero Verifier is used. The
// error is [auth.ErrNone] if req has no MAC credentials. It wraps [ErrMalformed] if they or the
// request cannot be read.
func Dump(req *http.Request, v *Verifier) (string, error) {
	v, h, shown, err := readRefused(req, v, "")
	if err != nil {
		return "", err
	}
	t := trial{reading: shown, dialect: v.Dialect, ext: h.ext}
	return dump(h, t.append(nil, h)), nil
}

// dump formats text, the base string of a request with the header h. It returns "" if text is nil.
func dump(h *header, text []byte) string {
	if text == nil {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "id      %q\n", h.id)
	names := []string{"ts", "nonce", "method", "target", "host", "port", "ext"}
	for i, line := range strings.SplitAfterN(string(text), "\n", len(names)) {
		fmt.Fprintf(&b, "%-7s %q\n", names[i], line)
	}
	return b.String()
}
