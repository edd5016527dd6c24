package pyramid_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/jwt"
	"github.com/countersign-go/countersign/jwt/pyramid"
)

// A service can keep the settings that it had with pyramid_jwt, read from its file.
func ExampleFromSettings() {
	session, err := pyramid.FromSettings(map[string]string{
		"jwt.private_key":         strings.Repeat("k", 64),
		"jwt.expiration":          "7200",
		"jwt.cookie_reissue_time": "3600",
		"jwt.auth_type":           "Bearer",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	session.SameSite = http.SameSiteStrictMode // a field set in code takes precedence
	fmt.Println(session.Name, session.ReissueAfter)
	fmt.Println(session.Signer.Method, session.Signer.Lifetime, session.Verifier.Scheme)

	_, err = pyramid.FromSettings(map[string]string{"jwt.expires": "7200"})
	fmt.Println(err)
	// Output:
	// Authorization 1h0m0s
	// HS512 2h0m0s Bearer
	// pyramid: jwt.expires is not a setting of pyramid_jwt
}

// lenient makes a request with a wrong token anonymous, as pyramid_jwt does.
type lenient struct{ *jwt.Verifier }

func (l lenient) Authenticate(req *http.Request) (*auth.Identity, error) {
	id, err := l.Verifier.Authenticate(req)
	if errors.Is(err, jwt.ErrRefused) {
		err = fmt.Errorf("%w: %w", auth.ErrNone, err)
	}
	return id, err
}

// The clients of this service rely on a wrong token in a header counting as no token.
func ExampleFromSettings_wrongTokenIsAnonymous() {
	session, err := pyramid.FromSettings(map[string]string{
		"jwt.private_key": strings.Repeat("k", 64),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	handler := auth.Optional(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if id, ok := auth.FromContext(req.Context()); ok {
			fmt.Fprint(w, "hello "+id.Subject)
			return
		}
		fmt.Fprint(w, "hello stranger")
	}), lenient{session.Verifier})
	token, err := session.Signer.Token("alice", nil, 0)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, sent := range []string{token, "wrong"} {
		req := httptest.NewRequest(http.MethodGet, "/", nil)
		req.Header.Set("Authorization", "JWT "+sent)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, req)
		fmt.Println(w.Code, w.Body)
	}
	// Output:
	// 200 hello alice
	// 200 hello stranger
}
