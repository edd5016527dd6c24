package pyramid

import (
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/internal/jose"
	"github.com/countersign-go/countersign/internal/place"
	"github.com/countersign-go/countersign/jwt"
)

// Cookie is the [jwt.Encoding] of pyramid_jwt's cookies: the base64 of the token's JSON text.
type Cookie struct{}

var _ jwt.Encoding = Cookie{}

// Encode returns the value of a cookie that holds token.
func (Cookie) Encode(token string) string { return place.Pyramid{}.Encode(token) }

// Decode returns the token in the value of a cookie.
func (Cookie) Decode(value string) (string, error) { return place.Pyramid{}.Decode(value) }

// maxLeeway is the largest Leeway of a jwt.Verifier.
const maxLeeway = 300 * time.Second

// FromSettings returns the Session for the settings of pyramid_jwt, as a file of Pyramid has them.
// The package comment lists which setting becomes which field. Settings that do not begin with
// "jwt." are ignored. An unknown setting that begins with "jwt." is an error, as is a value that
// cannot be read.
//
// The Session has its own Signer and Verifier. A service that accepts tokens in a header uses only
// those two. Any field of the three may be changed before the first use.
//
// Settings that could not work are an error too, such as a jwt.leeway over 300 seconds, or a key
// that does not fit jwt.algorithm. There are two exceptions. A missing key is not an error, since
// it may come from elsewhere. A secret or an RSA key that is too short for its method, which
// pyramid_jwt accepts, is refused at the first use: use a longer one, or set Weak of the Signer and
// of the [jwt.Key] in the Verifier. Call [jwt.Session.Check] after the changes.
func FromSettings(settings map[string]string) (*jwt.Session, error) {
	r := reader{settings: settings, left: make(map[string]bool)}
	for name := range settings {
		if strings.HasPrefix(name, "jwt.") {
			r.left[name] = true
		}
	}
	method := r.text("jwt.algorithm", "HS512")
	private, public := r.secret("jwt.private_key"), r.secret("jwt.public_key")
	signer := &jwt.Signer{
		Method: method, Key: private,
		Lifetime: r.seconds("jwt.expiration"),
		Scheme:   r.text("jwt.auth_type", "JWT"),
		Header:   r.text("jwt.http_header", place.Authorization),
	}
	signer.NoExpiry = signer.Lifetime == 0
	verifier := &jwt.Verifier{
		Leeway: r.seconds("jwt.leeway"), NoExpiry: true,
		Scheme: signer.Scheme, Header: signer.Header,
	}
	if audience := r.text("jwt.audience", ""); audience != "" {
		verifier.Audience = []string{audience}
	}
	if public == nil || strings.HasPrefix(method, "HS") {
		public = private
	}
	verifier.Keys = &jwt.Key{Method: method, Key: public}
	s := &jwt.Session{
		Signer: signer, Verifier: verifier, Encoding: Cookie{}, NoIssuedAt: true,
		Name:         r.text("jwt.cookie_name", "Authorization"),
		Path:         r.text("jwt.cookie_path", "/"),
		Insecure:     !r.boolean("jwt.https_only_cookie", true),
		ReissueAfter: r.seconds("jwt.cookie_reissue_time"),
	}
	r.check(s, public)
	if err := r.done(); err != nil {
		return nil, err
	}
	return s, nil
}

// check finds the settings that would fail at the first use. It looks at single settings first, so
// that an error can name them.
func (r *reader) check(s *jwt.Session, public any) {
	own, v := s.Signer, s.Verifier
	if v.Leeway > maxLeeway {
		r.failed("jwt.leeway is over %d seconds", maxLeeway/time.Second)
		v.Leeway = maxLeeway
	}
	if _, err := place.New(own.Scheme, own.Header, ""); err != nil {
		r.failed("jwt.http_header or jwt.auth_type: %w", err)
	}
	signer := &jwt.Signer{Method: own.Method, Key: own.Key, Weak: true}
	verifier := &jwt.Key{Method: own.Method, Key: public, Weak: true}
	if _, known := jose.ByName(own.Method); !known {
		r.failed("jwt.algorithm: %w", verifier.Check())
		return
	}
	if own.Key != nil && signer.Check() != nil {
		r.failed("jwt.private_key: %w", signer.Check())
		return
	}
	if public != nil && verifier.Check() != nil {
		r.failed("jwt.public_key: %w", verifier.Check())
		return
	}
	if own.Key == nil { // use a random secret for the trial
		secret := creds.Secret(rand.Text() + rand.Text() + rand.Text())
		signer = &jwt.Signer{Method: "HS512", Key: secret}
		verifier = &jwt.Key{Method: "HS512", Key: secret}
	}
	signer.Lifetime, signer.NoExpiry = own.Lifetime, own.NoExpiry
	trial := &jwt.Session{
		Signer:   signer,
		Verifier: &jwt.Verifier{Keys: verifier, Leeway: v.Leeway, NoExpiry: v.NoExpiry},
		Name:     s.Name, Path: s.Path, Insecure: s.Insecure,
		ReissueAfter: s.ReissueAfter, Encoding: s.Encoding, NoIssuedAt: s.NoIssuedAt,
	}
	if err := trial.Check(); err != nil {
		r.errs = append(r.errs, err)
	}
}

func (r *reader) failed(format string, arg any) {
	r.errs = append(r.errs, fmt.Errorf("pyramid: "+format, arg))
}

// A reader reads settings one by one and collects the errors.
type reader struct {
	settings map[string]string
	left     map[string]bool // not read yet
	errs     []error
}

// text returns a setting, or missing if it is empty.
func (r *reader) text(name, missing string) string {
	delete(r.left, name)
	if text := strings.TrimSpace(r.settings[name]); text != "" {
		return text
	}
	return missing
}

// secret returns a setting with its spaces, which may be part of the secret.
func (r *reader) secret(name string) any {
	delete(r.left, name)
	if text := r.settings[name]; text != "" {
		return creds.Secret(text)
	}
	return nil
}

func (r *reader) seconds(name string) time.Duration {
	n, err := strconv.ParseUint(r.text(name, "0"), 10, 32)
	if err != nil {
		r.errs = append(r.errs, fmt.Errorf("pyramid: %s is not a number of seconds", name))
	}
	return time.Duration(n) * time.Second
}

// boolean accepts the words that Pyramid and paste.deploy accept.
func (r *reader) boolean(name string, missing bool) bool {
	switch strings.ToLower(r.text(name, "")) {
	case "":
		return missing
	case "true", "t", "yes", "y", "on", "1":
		return true
	case "false", "f", "no", "n", "off", "0":
		return false
	}
	r.errs = append(r.errs, fmt.Errorf("pyramid: %s is neither true nor false", name))
	return missing
}

func (r *reader) done() error {
	for name := range r.left {
		r.errs = append(r.errs, fmt.Errorf("pyramid: %s is not a setting of pyramid_jwt", name))
	}
	slices.SortFunc(r.errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(r.errs...)
}
