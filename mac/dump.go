package mac

import (
	"fmt"
	"net/http"
	"strings"
)

// Dump shows the base string of a request that carries a MAC, one line of it in each line: its
// name, and its text in quotes with the line feed at its end visible. In front of them stands the
// id. Made on both sides, two dumps tell where they differ. Neither key nor MAC is in it, but the
// target with its query is, and ext: mind where you put it.
//
// v says how the request is read, as for [Explain]; nil means the zero Verifier. The errors are
// those of Explain.
func Dump(req *http.Request, v *Verifier) (string, error) {
	v, h, shown, err := readRefused(req, v, "")
	if err != nil {
		return "", err
	}
	t := trial{reading: shown, dialect: v.Dialect, ext: h.ext}
	return dump(h, t.append(nil, h)), nil
}

// dump shows text, the base string of a request with h.
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
