package provision

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/internal/seconds"
)

// A reply is the decoded answer of an endpoint. Services differ in the names of the members: each
// sends some of the following. Other members are ignored.
//
//	id, key                 text, required
//	algorithm               hmac-sha-1, hmac-sha-256
//	hashalg                 the same, or sha1, sha256
//	expires_in, duration    seconds from the answer on
//	expires, expires_at     seconds since 1970; the latter also as in RFC 3339
//	api_endpoint            the URL of the service that takes the credentials
type reply struct {
	creds    *creds.SharedKey // Expires as sent: by the clock of the server
	relative bool             // reports whether left is known
	left     time.Duration
	endpoint string // may be empty
}

// replyOf reads a decoded object. The members that it knows by name must be of the right type, even
// if they are not needed. A null stands for an absent member. Its errors name a member, never a
// value.
func replyOf(object map[string]any) (*reply, error) {
	c, err := credentialsOf(object)
	if err != nil {
		return nil, err
	}
	r := &reply{creds: c}
	for _, name := range []string{"expires_in", "duration"} {
		v := object[name]
		if v == nil {
			continue
		}
		left, err := seconds.Duration(v)
		if err != nil {
			return nil, fmt.Errorf("%s is %w", name, err)
		}
		if !r.relative {
			r.relative, r.left = true, left
		}
	}
	if object["api_endpoint"] == nil {
		return r, nil
	}
	if r.endpoint, err = textOf(object, "api_endpoint"); err != nil {
		return nil, err
	}
	if err := checkEndpoint(r.endpoint); err != nil {
		return nil, fmt.Errorf("api_endpoint %w", err)
	}
	return r, nil
}

// credentialsOf reads the members whose meaning does not depend on when the object was sent.
func credentialsOf(object map[string]any) (*creds.SharedKey, error) {
	var f form
	var err error
	if f.ID, err = textOf(object, "id"); err != nil {
		return nil, err
	}
	if f.Key, err = textOf(object, "key"); err != nil {
		return nil, err
	}
	if f.Algorithm, err = algorithmOf(object); err != nil {
		return nil, err
	}
	if err := f.check(); err != nil {
		return nil, err
	}
	c := &creds.SharedKey{ID: f.ID, Key: []byte(f.Key), Algorithm: f.Algorithm}
	if v := object["expires_at"]; v != nil {
		if c.Expires, err = seconds.Moment(v); err != nil {
			return nil, fmt.Errorf("expires_at is %w", err)
		}
	}
	if v := object["expires"]; v != nil {
		if c.Expires, err = seconds.Time(v); err != nil {
			return nil, fmt.Errorf("expires is %w", err)
		}
	}
	return c, nil
}

func algorithmOf(object map[string]any) (string, error) {
	var found string
	for _, name := range []string{"algorithm", "hashalg"} {
		if object[name] == nil {
			continue
		}
		text, err := textOf(object, name)
		if err != nil {
			return "", err
		}
		a := text
		if name == "hashalg" {
			a = hashes[text]
		}
		switch {
		case a != hmacSHA1 && a != hmacSHA256:
			return "", fmt.Errorf("%s is neither hmac-sha-1 nor hmac-sha-256", name)
		case found != "" && found != a:
			return "", errors.New("algorithm and hashalg are not the same")
		}
		found = a
	}
	if found == "" {
		return hmacSHA1, nil
	}
	return found, nil
}

// The names of algorithms in a form.
const (
	hmacSHA1   = "hmac-sha-1"
	hmacSHA256 = "hmac-sha-256"
)

// hashes has the algorithms by the names that Mozilla's tokenserver and similar services use.
var hashes = map[string]string{
	"sha1": hmacSHA1, "sha256": hmacSHA256, hmacSHA1: hmacSHA1, hmacSHA256: hmacSHA256,
}

func textOf(object map[string]any, name string) (string, error) {
	v, ok := object[name]
	if !ok {
		return "", fmt.Errorf("there is no %s", name)
	}
	text, ok := v.(string)
	if !ok {
		return "", fmt.Errorf("%s is not text", name)
	}
	return text, nil
}

// maxEndpoint is the longest api_endpoint, in bytes.
const maxEndpoint = 1024

// checkEndpoint returns an error unless text is a URL that requests can be sent to.
func checkEndpoint(text string) error {
	u, err := url.Parse(text)
	switch {
	case len(text) > maxEndpoint:
		return fmt.Errorf("is longer than %d bytes", maxEndpoint)
	case err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http":
		return errors.New("is not an http or https URL")
	case u.User != nil || strings.Contains(text, "#"):
		return errors.New("holds a user or a fragment")
	}
	return nil
}
