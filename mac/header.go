package mac

import (
	"net/http"
	"strings"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/internal/authparam"
)

const (
	scheme     = "MAC"           // in this case only: "mac" is an error, not another scheme
	fieldName  = "Authorization" // in canonical form
	maxHeader  = 8 << 10         // bytes of the field value
	maxNonce   = 128             // bytes
	maxSeconds = 999_999_999_999_999
)

const (
	errTwoFields problem = "more than one Authorization field"
	errTooLong   problem = "an Authorization field over 8 KiB"
	errSpelling  problem = `the scheme is not spelled "MAC"`
	errSyntax    problem = "the parameters are not a list of name=value"
	errName      problem = "a parameter other than id, ts, nonce, ext and mac"
	errTwice     problem = "a parameter given twice"
	errValue     problem = "a parameter with a value outside the grammar"
	errMissing   problem = "id, ts, nonce or mac is missing or empty"
	errTS        problem = "ts is not a positive number of at most 15 digits without leading zeros"
	errNonce     problem = "a nonce over 128 bytes"
	errTag       problem = "mac is not the base64 of an HMAC of SHA-1 or SHA-256"
)

// A header holds the credentials of an Authorization field (section 3.1). Its strings are
// substrings of that field.
type header struct {
	id, ts, nonce, ext string
	seconds            int64 // ts as a number
	mac                tag
}

// algorithm returns the algorithm whose MACs have the size of h.mac.
func (h *header) algorithm() algorithm {
	if h.mac.size == algorithm(SHA1).size() {
		return SHA1
	}
	return SHA256
}

// findHeader returns the Authorization field if it is of this scheme. It refuses a second field,
// because a program that reads the first and a program that reads the last would see two different
// requests.
func findHeader(h http.Header) (string, error) {
	lines := h[fieldName]
	ours := false
	for _, line := range lines {
		ours = ours || authparam.IsFor(line, scheme)
	}
	switch {
	case !ours:
		return "", auth.ErrNone
	case len(lines) > 1:
		return "", because(ErrMalformed, errTwoFields)
	case len(lines[0]) > maxHeader:
		return "", because(ErrMalformed, errTooLong)
	}
	return lines[0], nil
}

// parseHeader parses an Authorization field in one pass. Where the draft's grammar allows two
// readings, parseHeader accepts less than the draft: see the package comment.
func parseHeader(line string) (h header, err error) {
	rest, ok := strings.CutPrefix(line, scheme)
	if !ok {
		return h, errSpelling
	}
	list := trimBlanks(rest)
	if len(list) == len(rest) {
		return h, errSyntax
	}
	mac, err := h.parseList(list)
	if err != nil {
		return h, err
	}
	if h.id == "" || h.ts == "" || h.nonce == "" || mac == "" {
		return h, errMissing
	}
	if h.seconds, ok = parseSeconds(h.ts); !ok {
		return h, errTS
	}
	if len(h.nonce) > maxNonce {
		return h, errNonce
	}
	if h.mac, ok = parseTag(mac); !ok {
		return h, errTag
	}
	return h, nil
}

// parseList reads the parameters into h, except for mac, which it returns.
func (h *header) parseList(list string) (mac string, err error) {
	seen := 0
	for {
		name, value, rest, err := cutParam(list)
		if err != nil {
			return "", err
		}
		var bit int
		switch name {
		case "id":
			bit, h.id = 1, value
		case "ts":
			bit, h.ts = 2, value
		case "nonce":
			bit, h.nonce = 4, value
		case "ext":
			bit, h.ext = 8, value
		case "mac":
			bit, mac = 16, value
		default:
			return "", errName
		}
		if seen&bit != 0 {
			return "", errTwice
		}
		seen |= bit
		if rest == "" {
			return mac, nil
		}
		list = trimBlanks(rest)
		if list == "" || list[0] != ',' {
			return "", errSyntax
		}
		list = trimBlanks(list[1:])
	}
}

// cutParam cuts one name=value from the start of list. A value without quotes consists of letters,
// digits, "-" and "_", as other implementations write it. The draft would also allow a comma there.
// An empty value in quotes has the meaning of a missing parameter; other implementations send an
// empty ext.
func cutParam(list string) (name, value, rest string, err error) {
	equals := strings.IndexByte(list, '=')
	if equals < 0 {
		return "", "", "", errSyntax
	}
	name, list = list[:equals], list[equals+1:]
	if list == "" || list[0] != '"' {
		end := bare.prefix(list)
		if end == 0 {
			return "", "", "", errValue
		}
		return name, list[:end], list[end:], nil
	}
	end := 1 + plain.prefix(list[1:])
	if end == len(list) || list[end] != '"' {
		return "", "", "", errValue
	}
	return name, list[1:end], list[end+1:], nil
}

// parseSeconds reads a timestamp: [1-9][0-9]{0,14}, which fits an int64 with room for any window.
func parseSeconds(s string) (seconds int64, ok bool) {
	if s == "" || len(s) > 15 || s[0] == '0' {
		return 0, false
	}
	for i := 0; i < len(s); i++ {
		digit := s[i] - '0'
		if digit > 9 {
			return 0, false
		}
		seconds = seconds*10 + int64(digit)
	}
	return seconds, true
}

func trimBlanks(s string) string {
	for s != "" && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	return s
}

// append appends h as a [Signer] writes it: every value in quotes, and no ext if it is empty.
func (h *header) append(dst []byte) []byte {
	dst = append(append(dst, scheme+` id="`...), h.id...)
	dst = append(append(dst, `", ts="`...), h.ts...)
	dst = append(append(dst, `", nonce="`...), h.nonce...)
	dst = appendExt(dst, h.ext)
	dst = append(dst, `", mac="`...)
	return append(strict.AppendEncode(dst, h.mac.slice()), '"')
}

func appendExt(dst []byte, ext string) []byte {
	if ext == "" {
		return dst
	}
	return append(append(dst, `", ext="`...), ext...)
}
