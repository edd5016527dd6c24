package bearer

import (
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/countersign-go/countersign/creds"
)

// FromPyramid reads the settings of pyramid_jwt, as they stand in a file of Pyramid, for a service
// that takes over its tokens and cookies. The package comment says which setting becomes what.
// Settings that do not begin with "jwt." are not looked at; one that does and is not known is an
// error, and so is a value that cannot be read.
//
// The Session has a JWT and a Verifier of its own. A service that takes tokens in a header uses
// only those two. Any field of the three may be set to something else before the first use: a field
// that is set in code wins over a setting in a file.
//
// Settings that could not work are an error too, such as a jwt.leeway over 300 seconds or a key of
// another kind than jwt.algorithm's, with two exceptions. A key that is missing may come from
// elsewhere. And a secret or RSA key that is too short for its method, as pyramid_jwt accepts it,
// is refused at the first use: use a longer one, or set Weak of the JWT and of the [Key] in the
// Verifier. After that, [Session.Check] tells at the start whether all is well.
//
// As there, tokens are accepted without exp; they are made without where the settings have no
// jwt.expiration. Otherwise than there, the cookie goes to the host that set it and no other, with
// the path / and SameSite=Lax where nothing is said of them, and a Session has a MaxAge.
func FromPyramid(settings map[string]string) (*Session, error) {
	r := pyramidReader{settings: settings, left: make(map[string]bool)}
	for name := range settings {
		if strings.HasPrefix(name, "jwt.") {
			r.left[name] = true
		}
	}
	method := r.text("jwt.algorithm", "HS512")
	private, public := r.secret("jwt.private_key"), r.secret("jwt.public_key")
	j := &JWT{
		Method: method, Key: private,
		Lifetime: r.seconds("jwt.expiration"),
		Scheme:   r.text("jwt.auth_type", "JWT"),
		Header:   r.text("jwt.http_header", authorization),
	}
	j.NoExpiry = j.Lifetime == 0
	v := &Verifier{
		Leeway: r.seconds("jwt.leeway"), NoExpiry: true,
		Scheme: j.Scheme, Header: j.Header,
	}
	if audience := r.text("jwt.audience", ""); audience != "" {
		v.Audience = []string{audience}
	}
	if public == nil || strings.HasPrefix(method, "HS") {
		public = private
	}
	v.Keys = &Key{Method: method, Key: public}
	s := &Session{
		JWT: j, Verifier: v, PyramidCookie: true,
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
func (r *pyramidReader) check(s *Session, public any) {
	j, v := s.JWT, s.Verifier
	if v.Leeway > maxLeeway {
		r.failed("jwt.leeway is over %d seconds", maxLeeway/time.Second)
		v.Leeway = maxLeeway
	}
	if _, err := placeOf(j.Scheme, j.Header, ""); err != nil {
		r.failed("jwt.http_header or jwt.auth_type: %w", err)
	}
	signer := &JWT{Method: j.Method, Key: j.Key, Weak: true}
	verifier := &Key{Method: j.Method, Key: public, Weak: true}
	if _, known := methods[j.Method]; !known {
		r.failed("jwt.algorithm: %w", verifier.Check())
		return
	}
	if j.Key != nil && signer.Check() != nil {
		r.failed("jwt.private_key: %w", signer.Check())
		return
	}
	if public != nil && verifier.Check() != nil {
		r.failed("jwt.public_key: %w", verifier.Check())
		return
	}
	if j.Key == nil { // another one stands in for it
		secret := creds.Secret(rand.Text() + rand.Text() + rand.Text())
		signer = &JWT{Method: "HS512", Key: secret}
		verifier = &Key{Method: "HS512", Key: secret}
	}
	signer.Lifetime, signer.NoExpiry = j.Lifetime, j.NoExpiry
	trial := &Session{
		JWT: signer, Verifier: &Verifier{Keys: verifier, Leeway: v.Leeway, NoExpiry: v.NoExpiry},
		Name: s.Name, Path: s.Path, Insecure: s.Insecure,
		ReissueAfter: s.ReissueAfter, PyramidCookie: s.PyramidCookie,
	}
	if err := trial.Check(); err != nil {
		r.errs = append(r.errs, err)
	}
}

func (r *pyramidReader) failed(format string, arg any) {
	r.errs = append(r.errs, fmt.Errorf("bearer: "+format, arg))
}

// A pyramidReader reads settings one by one, and keeps what is wrong with them for the end.
type pyramidReader struct {
	settings map[string]string
	left     map[string]bool // not read yet
	errs     []error
}

// text returns a setting, or missing if it is empty.
func (r *pyramidReader) text(name, missing string) string {
	delete(r.left, name)
	if text := strings.TrimSpace(r.settings[name]); text != "" {
		return text
	}
	return missing
}

// secret returns a setting as it is, since blanks may be part of it.
func (r *pyramidReader) secret(name string) any {
	delete(r.left, name)
	if text := r.settings[name]; text != "" {
		return creds.Secret(text)
	}
	return nil
}

func (r *pyramidReader) seconds(name string) time.Duration {
	n, err := strconv.ParseUint(r.text(name, "0"), 10, 32)
	if err != nil {
		r.errs = append(r.errs, fmt.Errorf("bearer: %s is no number of seconds", name))
	}
	return time.Duration(n) * time.Second
}

// boolean takes the words that Pyramid and paste.deploy take.
func (r *pyramidReader) boolean(name string, missing bool) bool {
	switch strings.ToLower(r.text(name, "")) {
	case "":
		return missing
	case "true", "t", "yes", "y", "on", "1":
		return true
	case "false", "f", "no", "n", "off", "0":
		return false
	}
	r.errs = append(r.errs, fmt.Errorf("bearer: %s is neither true nor false", name))
	return missing
}

func (r *pyramidReader) done() error {
	for name := range r.left {
		r.errs = append(r.errs, fmt.Errorf("bearer: %s is no setting of pyramid_jwt", name))
	}
	slices.SortFunc(r.errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(r.errs...)
}
