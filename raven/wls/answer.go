package wls

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // the protocol fixes it
	"encoding/base64"
	"errors"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/countersign-go/countersign/raven"
)

// Sign returns the text of an answer, before it is encoded for a URL. If r has a KeyID, Sign signs
// it with key, and returns an error if key is nil. Sign does not check r against the protocol, so
// that a test can see how an agent handles a wrong answer. The text has ptags if Version is 3 or
// more.
func Sign(r *raven.Response, key *rsa.PrivateKey) (string, error) {
	issue := r.Issue.UTC().Format(timeLayout)
	life := ""
	if r.HasLife {
		life = strconv.FormatInt(int64(r.Life/time.Second), 10)
	}
	fields := []string{
		strconv.Itoa(r.Version), strconv.Itoa(int(r.Status)), r.Msg, issue, r.ID, r.URL,
		r.Principal,
	}
	if r.Version >= 3 {
		fields = append(fields, strings.Join(r.PTags, ","))
	}
	fields = append(fields, r.Auth, strings.Join(r.SSO, ","), life, r.Params)
	escape := strings.NewReplacer("%", "%25", "!", "%21")
	for i := range fields {
		fields[i] = escape.Replace(fields[i])
	}
	text := strings.Join(fields, "!")
	if r.KeyID == "" {
		return text + "!!", nil
	}
	if key == nil {
		return "", errors.New("wls: an answer with a KeyID needs a key to be signed with")
	}
	digest := sha1.Sum([]byte(text)) //nolint:gosec // the protocol fixes it
	signature, err := rsa.SignPKCS1v15(nil, key, crypto.SHA1, digest[:])
	if err != nil {
		return "", err
	}
	encoded := base64.StdEncoding.EncodeToString(signature)
	encoded = strings.NewReplacer("+", "-", "/", ".", "=", "_").Replace(encoded)
	return text + "!" + escape.Replace(r.KeyID) + "!" + encoded, nil
}

// location returns the URL to which the browser takes an answer. Version 1 loses the query of the
// address (section 3 of the protocol).
func location(address string, version int, answer string) string {
	path, _, hasQuery := strings.Cut(address, "?")
	separator := "?"
	switch {
	case version == 1:
		address = path
	case hasQuery:
		separator = "&"
	}
	return address + separator + "WLS-Response=" + url.QueryEscape(answer)
}
