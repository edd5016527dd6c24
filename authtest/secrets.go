package authtest

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/countersign-go/countersign/internal/authparam"
)

// secretNames are the names of secrets in the answers and URLs of services, in the form that
// [plainName] returns.
var secretNames = []string{
	"key", "token", "accesstoken", "refreshtoken", "idtoken", "authtoken", "sessiontoken",
	"oauthtoken", "oauthtokensecret", "secret", "clientsecret", "secretkey", "privatekey",
	"password", "passwd", "assertion", "clientassertion", "mackey", "apikey", "signature",
}

// plainName returns a name without case and separators, so that accessToken equals access_token.
func plainName(name string) string {
	return strings.NewReplacer("-", "", "_", "", ".", "").Replace(strings.ToLower(name))
}

func isSecretName(name string) bool { return slices.Contains(secretNames, plainName(name)) }

func secretURL(u *url.URL) error {
	if u.User != nil {
		return fmt.Errorf("%w: the URL holds a user: let the Signer bring it", ErrSecret)
	}
	for name, value := range pairs(u.RawQuery) {
		if value != "" && isSecretName(name) {
			return fmt.Errorf("%w: the query of %s has a parameter %q: send it past the Recorder",
				ErrSecret, u.Path, name)
		}
	}
	return nil
}

// pairs returns the names and values in a query, a form or a fragment. Unlike url.ParseQuery, it
// also returns malformed pairs, and a semicolon ends a pair.
func pairs(text string) map[string]string {
	all := make(map[string]string)
	for _, pair := range strings.FieldsFunc(text, func(c rune) bool {
		return strings.ContainsRune("&;?", c)
	}) {
		name, value, _ := strings.Cut(pair, "=")
		if plain, err := url.QueryUnescape(name); err == nil {
			name = plain
		}
		if name = strings.Trim(name, "/ "); all[name] == "" {
			all[name] = value
		}
	}
	return all
}

// secretAnswer returns an error if the record that is about to be written holds a secret.
func secretAnswer(req *http.Request, resp *http.Response, e *recorded, body []byte) error {
	path := req.URL.Path
	if coding := resp.Header.Get("Content-Encoding"); len(body) > 0 && coding != "" &&
		!strings.EqualFold(coding, "identity") {
		return fmt.Errorf("%w: the answer of %s is compressed, and not looked into: leave "+
			"Accept-Encoding to net/http", ErrSecret, path)
	}
	if name := secretIn(resp.Header.Get("Content-Type"), body); name != "" {
		return fmt.Errorf("%w: the answer of %s has a member %q: send such calls past the "+
			"Recorder", ErrSecret, path, name)
	}
	for _, location := range resp.Header["Location"] {
		if isSecretLocation(location) {
			return fmt.Errorf("%w: the Location that %s answers with holds one, or is malformed",
				ErrSecret, path)
		}
	}
	places := shown(e, body)
	for _, secret := range carried(req, resp) {
		for _, text := range spellings(secret) {
			if slices.ContainsFunc(places, func(place []byte) bool {
				return bytes.Contains(place, []byte(text))
			}) {
				return fmt.Errorf("%w: %s repeats credentials in its URL or its answer", ErrSecret,
					path)
			}
		}
	}
	return nil
}

// shown returns the texts of a record, and also the URLs without escapes.
func shown(e *recorded, body []byte) [][]byte {
	texts := []string{e.URL}
	for _, values := range e.Header {
		texts = append(texts, values...)
	}
	places := [][]byte{body}
	for _, text := range texts {
		places = append(places, []byte(text))
		if plain, err := url.PathUnescape(text); err == nil {
			places = append(places, []byte(plain))
		}
		if plain, err := url.QueryUnescape(text); err == nil {
			places = append(places, []byte(plain))
		}
	}
	return places
}

func isSecretLocation(location string) bool {
	u, err := url.Parse(location)
	if err != nil || secretURL(u) != nil {
		return true
	}
	for name, value := range pairs(u.EscapedFragment()) {
		if value != "" && isSecretName(name) {
			return true
		}
	}
	return false
}

// secretIn returns the name of a member that holds a secret in a body. The body may be JSON, of one
// value or several, or a form, or look like a form.
func secretIn(contentType string, body []byte) string {
	body = bytes.TrimSpace(bytes.TrimPrefix(body, []byte("\ufeff")))
	for d := json.NewDecoder(bytes.NewReader(body)); ; {
		var value any
		if d.Decode(&value) != nil {
			break
		}
		if name := secretMember(value); name != "" {
			return name
		}
	}
	if !strings.HasPrefix(strings.ToLower(contentType), "application/x-www-form-urlencoded") &&
		bytes.ContainsAny(body, " \t\r\n<>\"{") {
		return ""
	}
	form := make(map[string]any)
	for name, value := range pairs(string(body)) {
		form[name] = value
	}
	return secretMember(form)
}

// secretMember returns the name of a member that holds text and is named like a secret.
func secretMember(value any) string {
	switch value := value.(type) {
	case []any:
		for _, v := range value {
			if name := secretMember(v); name != "" {
				return name
			}
		}
	case map[string]any:
		for name, v := range value {
			_, credentials := value["id"] // else key may be one of a map or a keyboard
			if text, ok := v.(string); ok && text != "" && isSecretName(name) &&
				(plainName(name) != "key" || credentials) {
				return name
			}
			if name := secretMember(v); name != "" {
				return name
			}
		}
	}
	return ""
}

// spellings returns the forms in which a service may repeat a secret.
func spellings(secret string) []string {
	quoted, _ := json.Marshal(secret) // marshaling a string never fails
	return []string{
		secret, url.QueryEscape(secret), url.PathEscape(secret), html.EscapeString(secret),
		string(quoted[1 : len(quoted)-1]),
		base64.RawStdEncoding.EncodeToString([]byte(secret)),
		base64.RawURLEncoding.EncodeToString([]byte(secret)),
		hex.EncodeToString([]byte(secret)),
	}
}

// minSecret is the length, in bytes, of the shortest credentials that are searched for. Shorter
// ones could not be told from other text.
const minSecret = 8

// carried returns the credentials in the fields of a request and its answer.
func carried(req *http.Request, resp *http.Response) []string {
	var all []string
	for name, lines := range req.Header {
		name = http.CanonicalHeaderKey(name)
		if slices.Contains(harmless, name) || strings.HasPrefix(name, "If-") ||
			strings.HasPrefix(name, "X-Forwarded-") {
			continue
		}
		for _, line := range lines {
			switch name {
			case "Authorization", "Proxy-Authorization":
				all = append(all, credentials(line)...)
			case "Cookie":
				for pair := range strings.SplitSeq(line, ";") {
					all = append(all, cookieValue(pair))
				}
			default:
				line = strings.TrimSpace(line)
				_, word, _ := strings.Cut(line, " ") // after a scheme
				all = append(all, line, word)
			}
		}
	}
	for _, line := range resp.Header["Set-Cookie"] {
		pair, _, _ := strings.Cut(line, ";")
		all = append(all, cookieValue(pair))
	}
	return slices.DeleteFunc(all, func(s string) bool { return len(s) < minSecret })
}

// harmless are fields of requests that hold no credentials, so a service may repeat them. Fields
// that begin with If- and X-Forwarded- are harmless, too.
var harmless = []string{
	"Accept", "Accept-Charset", "Accept-Encoding", "Accept-Language", "Cache-Control",
	"Connection", "Content-Encoding", "Content-Language", "Content-Length", "Content-Type", "Date",
	"Expect", "Forwarded", "Idempotency-Key", "Origin", "Pragma", "Prefer", "Range", "Referer",
	"Te", "Traceparent", "Tracestate", "Upgrade", "User-Agent", "Via", "X-Correlation-Id",
	"X-Request-Id", "X-Requested-With",
}

func cookieValue(pair string) string {
	name, value, ok := strings.Cut(strings.TrimSpace(pair), "=")
	if !ok {
		value = name
	}
	return strings.Trim(value, `"`)
}

// credentials returns the secrets in an Authorization field.
func credentials(line string) (all []string) {
	list, err := authparam.Parse([]string{line})
	if err != nil {
		list = nil
		all = strings.FieldsFunc(line, func(c rune) bool {
			return strings.ContainsRune(" \t\",;", c)
		})
	}
	for _, c := range list {
		if all = append(all, c.Token68); c.Token68 == "" && len(c.Params) == 0 {
			all = append(all, c.Scheme) // a token alone is parsed as a scheme
		}
		for _, p := range c.Params {
			if !slices.Contains(shownParams, p.Name) {
				all = append(all, p.Value)
			}
		}
	}
	basic := http.Request{Header: http.Header{"Authorization": {line}}}
	if _, password, ok := basic.BasicAuth(); ok {
		all = append(all, password)
	}
	return all
}

// shownParams are parameters of credentials that are not secret, so a service may repeat them.
var shownParams = []string{"id", "username", "realm", "ts", "nonce", "ext", "uri", "algorithm"}
