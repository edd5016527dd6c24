package mac

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/countersign-go/countersign/internal/digest"
)

const adviseBody = "the body was changed after it was signed: sign the bytes that are sent, and " +
	"pass them on as they came"

// judgeBody compares the body with the digest in ext. If they differ, it tries the usual changes of
// serializers and editors.
func (e *Explanation) judgeBody(req *http.Request, ext string) {
	found := func(with, advice string) { e.add(finding{causeBody, with, advice}) }
	want, err := findDigest(ext)
	if err != nil {
		found("a digest that can be read", "the digest in ext is malformed: "+err.Error())
		return
	}
	if want == nil {
		if req.Body != nil && req.Body != http.NoBody {
			found("a digest of the body", "none was signed: set BodyDigest on the Signer")
		}
		return
	}
	body, whole, err := peekBody(req)
	switch {
	case err != nil || !whole:
		found("a body that can be read", "the body is over 1 MiB or was cut off: try a shorter one")
	case !isDigest(want, body):
		found(rewritten(want, body), adviseBody)
	}
}

func isDigest(want *tag, body []byte) bool {
	sum := sha256.Sum256(body)
	return subtle.ConstantTimeCompare(sum[:], want.slice()) == 1
}

// peekBody reads up to digest.MaxBuffer bytes of the body, and puts them back. whole reports
// whether they are the whole body.
func peekBody(req *http.Request) (body []byte, whole bool, err error) {
	if req.Body == nil || req.Body == http.NoBody {
		return nil, true, nil
	}
	if req.GetBody != nil {
		again, err := req.GetBody()
		if err != nil {
			return nil, false, err
		}
		body, err = io.ReadAll(io.LimitReader(again, digest.MaxBuffer+1))
		return body, len(body) <= digest.MaxBuffer, errorOf(err, again.Close())
	}
	body, err = io.ReadAll(io.LimitReader(req.Body, digest.MaxBuffer+1))
	rest := io.Reader(req.Body)
	if err != nil {
		rest = failing{err}
	}
	req.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(body), rest), req.Body}
	return body, len(body) <= digest.MaxBuffer, err
}

func errorOf(first, second error) error {
	if first != nil {
		return first
	}
	return second
}

// A failing returns the error of a body that could not be read to its end.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// rewritten names the form in which body would have the digest want.
func rewritten(want *tag, body []byte) string {
	lf, crlf := []byte("\n"), []byte("\r\n")
	trimmed := bytes.TrimRight(body, "\r\n")
	for _, as := range []struct {
		with string
		body []byte
	}{
		{"no body", nil},
		{"no line feed at the end of the body", trimmed},
		{"a line feed at the end of the body", append(bytes.Clone(trimmed), '\n')},
		{"a carriage return and a line feed at the end of the body",
			append(bytes.Clone(trimmed), crlf...)},
		{"line feeds without carriage returns", bytes.ReplaceAll(body, crlf, lf)},
		{"carriage returns before line feeds", bytes.ReplaceAll(body, lf, crlf)},
		{"the body decompressed", decompressed(body)},
		{"the form in another encoding", form(body)},
	} {
		if isDigest(want, as.body) {
			return as.with
		}
	}
	if anyJSON(trimmed, func(text []byte) bool {
		return isDigest(want, text) || isDigest(want, append(text, '\n'))
	}) {
		return "the JSON of the body in another form"
	}
	return "another body"
}

func decompressed(body []byte) []byte {
	r, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil
	}
	body, err = io.ReadAll(io.LimitReader(r, digest.MaxBuffer))
	if err != nil {
		return nil
	}
	return body
}

func form(body []byte) []byte {
	if len(body) > maxText {
		return nil
	}
	values, err := url.ParseQuery(string(body))
	if err != nil {
		return nil
	}
	return []byte(values.Encode())
}

// anyJSON reports whether is returns true for any of the usual encodings of the JSON in text. It
// makes them one at a time, because together they are many times as long. It ignores text longer
// than maxText.
func anyJSON(text []byte, is func([]byte) bool) bool {
	if len(text) > maxText || !json.Valid(text) {
		return false
	}
	if anyLayout(text, is) {
		return true
	}
	var value any
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if d.Decode(&value) != nil {
		return false
	}
	sorted, err := json.Marshal(value)
	if err != nil {
		return false
	}
	if anyLayout(sorted, is) {
		return true
	}
	// Encoders other than encoding/json do not escape these three.
	for _, c := range []string{"<", ">", "&"} {
		sorted = bytes.ReplaceAll(sorted, fmt.Appendf(nil, `\u%04x`, c[0]), []byte(c))
	}
	return anyLayout(sorted, is)
}

// anyLayout is anyJSON with unchanged members and strings: only the white space differs.
func anyLayout(text []byte, is func([]byte) bool) bool {
	var compact bytes.Buffer
	if json.Compact(&compact, text) != nil {
		return false
	}
	if is(compact.Bytes()) || is(spaced(compact.Bytes())) {
		return true
	}
	if indented(compact.Bytes()) > maxIndented {
		return false
	}
	var b bytes.Buffer
	for _, indent := range []string{"  ", "    ", "\t"} {
		b.Reset()
		if json.Indent(&b, compact.Bytes(), "", indent) == nil && is(b.Bytes()) {
			return true
		}
	}
	return false
}

// maxIndented is the largest size of indented JSON that is tried. Indenting lengthens each line by
// its depth.
const maxIndented = 1 << 20

// indented returns an upper limit for the length of compact JSON after it is indented by four
// blanks.
func indented(compact []byte) int {
	lines := 1
	for _, c := range compact {
		switch c {
		case '[', '{', ',', ']', '}':
			lines++
		}
	}
	return len(compact) + lines*(1+4*depth(compact))
}

// depth returns how deep brackets are nested, including brackets in strings.
func depth(text []byte) (most int) {
	now := 0
	for _, c := range text {
		switch c {
		case '[', '{':
			now++
			most = max(most, now)
		case ']', '}':
			now--
		}
	}
	return most
}

// spaced puts a blank after each comma and colon of compact JSON, as Python does.
func spaced(compact []byte) []byte {
	out := make([]byte, 0, len(compact)+len(compact)/4)
	inString := false
	for i := 0; i < len(compact); i++ {
		c := compact[i]
		out = append(out, c)
		switch {
		case inString && c == '\\' && i+1 < len(compact):
			i++
			out = append(out, compact[i])
		case c == '"':
			inString = !inString
		case !inString && (c == ',' || c == ':'):
			out = append(out, ' ')
		}
	}
	return out
}
