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
)

const adviseBody = "the body was changed after it was signed: sign the bytes that are sent, and " +
	"pass them on as they came"

// judgeBody compares the body with the digest in ext, and tries what serialisers and editors do.
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

// peekBody reads the body, of up to maxBuffer, and puts it back. It reports whether that is all.
func peekBody(req *http.Request) (body []byte, whole bool, err error) {
	if req.Body == nil || req.Body == http.NoBody {
		return nil, true, nil
	}
	if req.GetBody != nil {
		again, err := req.GetBody()
		if err != nil {
			return nil, false, err
		}
		body, err = io.ReadAll(io.LimitReader(again, maxBuffer+1))
		return body, len(body) <= maxBuffer, errorOf(err, again.Close())
	}
	body, err = io.ReadAll(io.LimitReader(req.Body, maxBuffer+1))
	rest := io.Reader(req.Body)
	if err != nil {
		rest = failing{err}
	}
	req.Body = readCloser{io.MultiReader(bytes.NewReader(body), rest), req.Body}
	return body, len(body) <= maxBuffer, err
}

func errorOf(first, second error) error {
	if first != nil {
		return first
	}
	return second
}

// failing is the end of a body that could not be read.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// rewritten names what body has to be made of, to have the digest want.
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
	for _, text := range jsonForms(trimmed) {
		if isDigest(want, text) || isDigest(want, append(text, '\n')) {
			return "the JSON of the body in another form"
		}
	}
	return "another body"
}

func decompressed(body []byte) []byte {
	r, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil
	}
	body, err = io.ReadAll(io.LimitReader(r, maxBuffer))
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

// jsonForms are the usual ways to write the same JSON.
func jsonForms(text []byte) (forms [][]byte) {
	if !json.Valid(text) {
		return nil
	}
	add := func(text []byte) {
		var compact bytes.Buffer
		if json.Compact(&compact, text) != nil {
			return
		}
		forms = append(forms, compact.Bytes(), spaced(compact.Bytes()))
		if depth(text) > maxIndented {
			return
		}
		for _, indent := range []string{"  ", "    ", "\t"} {
			var b bytes.Buffer
			if json.Indent(&b, compact.Bytes(), "", indent) == nil {
				forms = append(forms, b.Bytes())
			}
		}
	}
	add(text)
	var value any
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if d.Decode(&value) != nil {
		return forms
	}
	sorted, err := json.Marshal(value)
	if err != nil {
		return forms
	}
	add(sorted)
	// Others than encoding/json do not escape these three.
	for _, c := range []string{"<", ">", "&"} {
		sorted = bytes.ReplaceAll(sorted, fmt.Appendf(nil, `\u%04x`, c[0]), []byte(c))
	}
	add(sorted)
	return forms
}

// maxIndented is how deep JSON may be nested to be indented: the text grows by the square of it.
const maxIndented = 64

// depth is how deep brackets are nested, those in strings included.
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

// spaced puts a blank behind each comma and colon of compact JSON, as Python does.
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
