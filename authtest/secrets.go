package authtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/countersign-go/countersign/internal/authparam"
)

// secretNames are what secrets are called in the answers and URLs of services.
var secretNames = []string{
	"key", "token", "access_token", "refresh_token", "id_token", "secret", "client_secret",
	"password", "passwd", "assertion", "mac_key", "api_key", "apikey", "signature",
}

func isSecretName(name string) bool {
	return slices.Contains(secretNames, strings.ReplaceAll(strings.ToLower(name), "-", "_"))
}

func secretURL(u *url.URL) error {
	if u.User != nil {
		return fmt.Errorf("%w: the URL holds a user: let the Signer bring it", ErrSecret)
	}
	for name := range u.Query() {
		if isSecretName(name) {
			return fmt.Errorf("%w: the query of %s has a parameter %q: send it past the Recorder",
				ErrSecret, u.Path, name)
		}
	}
	return nil
}

// secretAnswer looks for secrets in what is about to be written.
func secretAnswer(req *http.Request, resp *http.Response, e *recorded, body []byte) error {
	var value any
	if json.Unmarshal(body, &value) == nil {
		if name := secretMember(value); name != "" {
			return fmt.Errorf("%w: the answer of %s has a member %q: send such calls past the "+
				"Recorder", ErrSecret, req.URL.Path, name)
		}
	}
	if u, err := url.Parse(resp.Header.Get("Location")); err == nil && secretURL(u) != nil {
		return fmt.Errorf("%w: the Location that %s answers with holds one", ErrSecret,
			req.URL.Path)
	}
	text, err := json.Marshal(e.Header)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrSecret, err)
	}
	for _, secret := range carried(req, resp) {
		for _, place := range [][]byte{[]byte(e.URL), text, body} {
			if bytes.Contains(place, []byte(secret)) {
				return fmt.Errorf("%w: %s repeats credentials in its URL or its answer", ErrSecret,
					req.URL.Path)
			}
		}
	}
	return nil
}

// secretMember returns the name of a member that holds text and is called like a secret.
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
			_, credentials := value["id"] // any other key is one of a map, or of a keyboard
			if text, ok := v.(string); ok && text != "" && isSecretName(name) &&
				(name != "key" || credentials) {
				return name
			}
			if name := secretMember(v); name != "" {
				return name
			}
		}
	}
	return ""
}

// carried returns the credentials that are in fields of a request and its answer. Shorter ones than
// 8 bytes are no secrets, or could not be told from other text.
func carried(req *http.Request, resp *http.Response) []string {
	var all []string
	for _, line := range req.Header["Authorization"] {
		list, err := authparam.Parse([]string{line})
		if err != nil {
			list = nil
			all = append(all, strings.FieldsFunc(line, func(c rune) bool {
				return strings.ContainsRune(" \t\",;", c)
			})...)
		}
		for _, c := range list {
			if all = append(all, c.Token68); c.Token68 == "" && len(c.Params) == 0 {
				all = append(all, c.Scheme) // which a token alone is taken for
			}
			for _, p := range c.Params {
				if !slices.Contains(shownParams, p.Name) {
					all = append(all, p.Value)
				}
			}
		}
	}
	if _, password, ok := req.BasicAuth(); ok {
		all = append(all, password)
	}
	for _, c := range append(req.Cookies(), resp.Cookies()...) {
		all = append(all, c.Value)
	}
	return slices.DeleteFunc(all, func(s string) bool { return len(s) < 8 })
}

// shownParams are parameters of credentials that are no secrets: a service may well repeat them.
var shownParams = []string{"id", "username", "realm", "ts", "nonce", "ext", "uri", "algorithm"}
