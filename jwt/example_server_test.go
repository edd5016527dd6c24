package jwt_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"slices"
	"time"

	jwtlib "github.com/golang-jwt/jwt/v5"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/jwt"
	"github.com/countersign-go/countersign/portal"
)

// exampleSecret is the secret that the issuer and the service share. Keep yours in a file, not in a
// program.
var exampleSecret = creds.Secret("an example of 32 bytes or longer")

// exampleToken returns a token of the issuer with these claims.
func exampleToken(claims map[string]any) string {
	claims["exp"] = time.Now().Add(time.Hour).Unix()
	token := jwtlib.NewWithClaims(jwtlib.SigningMethodHS256, jwtlib.MapClaims(claims))
	text, err := token.SignedString([]byte(exampleSecret))
	if err != nil {
		panic(err)
	}
	return text
}

// status returns the status with which a handler answers a request with this token.
func status(handler http.Handler, path, token string) int {
	req := httptest.NewRequest("GET", path, nil)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, req)
	return w.Code
}

// These are the existing permissions, and the permissions of each role.
var (
	permissions = []string{"users:edit", "reports:read"}
	roles       = map[string][]string{
		"admin":   {"users:edit", "reports:read"},
		"reports": {"reports:read"},
	}
)

// allow passes the requests of users with a permission to next. Other users are known but not
// allowed: 403. A permission that does not exist is a mistake in the program.
func allow(permission string, next http.Handler) http.Handler {
	if !slices.Contains(permissions, permission) {
		panic("no such permission: " + permission)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		id, _ := auth.FromContext(req.Context())
		if id == nil || !slices.Contains(id.Groups, permission) {
			http.Error(w, "not allowed", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, req)
	})
}

// Roles in a token become permissions. An unknown user gets 401, and a known user without the
// permission 403.
func ExampleVerifier_Authenticate() {
	v := &jwt.Verifier{
		Keys: &jwt.Key{Method: "HS256", Key: exampleSecret},
		Groups: func(_ context.Context, claims map[string]any) (may []string, err error) {
			named, _ := claims["roles"].([]any)
			for _, role := range named {
				name, _ := role.(string)
				may = append(may, roles[name]...)
			}
			return may, nil
		},
	}
	page := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	mux := http.NewServeMux()
	mux.Handle("/users", allow("users:edit", page))
	mux.Handle("/reports", allow("reports:read", page))
	handler := auth.Require(mux, v)

	fmt.Println("roles             users reports")
	for _, named := range [][]string{{"admin"}, {"reports"}, {"admin", "reports"}, {}} {
		token := exampleToken(map[string]any{"sub": "ann", "roles": named})
		fmt.Printf("%-17s %d   %d\n", fmt.Sprint(named),
			status(handler, "/users", token), status(handler, "/reports", token))
	}
	for name, token := range map[string]string{"no token": "", "wrong token": "x"} {
		fmt.Printf("%-17s %d   %d\n", name,
			status(handler, "/users", token), status(handler, "/reports", token))
	}
	// Unordered output:
	// roles             users reports
	// [admin]           200   200
	// [reports]         403   200
	// [admin reports]   200   200
	// []                403   403
	// no token          401   401
	// wrong token       401   401
}

// A token need not come from a request. It may come from a message queue, for example.
func ExampleVerifier_Verify() {
	v := &jwt.Verifier{
		Keys:     &jwt.Key{Method: "HS256", Key: exampleSecret},
		Audience: []string{"worker"},
	}
	token := exampleToken(map[string]any{"sub": "ann", "aud": "worker", "job": 7})
	claims, err := v.Verify(context.Background(), token)
	fmt.Println(claims["sub"], claims["job"], err)

	_, err = v.Verify(context.Background(), exampleToken(map[string]any{"aud": "mailer"}))
	fmt.Println(err)
	// Output:
	// ann 7 <nil>
	// jwt: token refused: its aud names other services
}

// A client may log in with a token over a protocol other than HTTP.
func ExampleVerifier_AuthenticateToken() {
	var denied jwt.DenyList
	checker := tokenChecker{&jwt.Verifier{
		Keys:     &jwt.Key{Method: "HS256", Key: exampleSecret},
		Audience: []string{"mail"},
		Revoked:  denied.Revoked,
	}}
	login := &portal.Portal[string]{
		Checkers: portal.Checkers{checker},
		Realm: portal.RealmFunc[string](func(_ context.Context, subject string, _ ...reflect.Type) (
			string, func(), error,
		) {
			return "the mailbox of " + subject, nil, nil
		}),
	}
	token := exampleToken(map[string]any{"sub": "ann", "aud": "mail", "jti": "6f1d"})
	show := func() {
		session, err := login.Login(context.Background(), portal.Bearer{Token: creds.Secret(token)})
		if err != nil {
			fmt.Println(errors.Is(err, portal.ErrUnauthorized), err)
			return
		}
		fmt.Println(session.Avatar)
	}
	show()
	if err := denied.Revoke(map[string]any{"sub": "ann", "jti": "6f1d"}); err != nil {
		fmt.Println(err)
	}
	show()
	// Output:
	// the mailbox of ann
	// true creds: wrong user or password: jwt: token refused: it was revoked
}

// A tokenChecker is a portal.Checker that accepts the tokens of a Verifier.
type tokenChecker struct{ verifier *jwt.Verifier }

func (c tokenChecker) Check(ctx context.Context, shown portal.Credentials) (string, error) {
	b, ok := shown.(portal.Bearer)
	if !ok {
		return "", portal.ErrUnhandled
	}
	id, err := c.verifier.AuthenticateToken(ctx, string(b.Token))
	switch {
	case errors.Is(err, auth.ErrUnavailable):
		return "", err // the token could not be checked: the client may try again later
	case err != nil:
		return "", fmt.Errorf("%w: %w", portal.ErrUnauthorized, err)
	}
	return id.Subject, nil
}

// The response does not say why a token is refused. The log does.
func ExampleVerifier_Challenge() {
	v := &jwt.Verifier{
		Keys:  &jwt.Key{Method: "HS256", Key: exampleSecret},
		Realm: "example",
	}
	req := httptest.NewRequest("GET", "/", nil)
	answer := func() {
		h := http.Header{}
		_, err := v.Authenticate(req)
		v.Challenge(h, req, err)
		fmt.Println(h.Get("WWW-Authenticate"), "-", err)
	}
	answer()
	req.Header.Set("Authorization", "Bearer x")
	answer()
	// Output:
	// Bearer realm="example" - auth: no credentials for this scheme
	// Bearer realm="example", error="invalid_token" - jwt: token refused: it has not three parts
}

// A token can be revoked before it expires, for instance when its user logs out.
func ExampleDenyList_Revoke() {
	var denied jwt.DenyList
	v := &jwt.Verifier{
		Keys:    &jwt.Key{Method: "HS256", Key: exampleSecret},
		Revoked: denied.Revoked,
	}
	logout := func(w http.ResponseWriter, req *http.Request) {
		id, _ := auth.FromContext(req.Context())
		if err := denied.Revoke(id.Claims); err != nil {
			http.Error(w, "not logged out", http.StatusServiceUnavailable)
		}
	}
	handler := auth.Require(http.HandlerFunc(logout), v)
	token := exampleToken(map[string]any{"sub": "ann", "jti": "6f1d"})
	fmt.Println(status(handler, "/logout", token))
	fmt.Println(status(handler, "/logout", token))
	// Output:
	// 200
	// 401
}

// While a secret is replaced, tokens that were made with the old one still work.
func ExampleKeyMap_VerificationKey() {
	keys := jwt.KeyMap{
		"2026-10": {Method: "HS256", Key: creds.Secret("the secret of October, long enough")},
		"2026-11": {Method: "HS256", Key: creds.Secret("the secret of November, long enough")},
	}
	for _, kid := range []string{"2026-10", "2026-11", "2026-12"} {
		_, err := keys.VerificationKey(context.Background(), kid)
		fmt.Println(kid, err)
	}
	// Output:
	// 2026-10 <nil>
	// 2026-11 <nil>
	// 2026-12 jwt: no key of that id
}

// An issuer publishes its keys, so that it can change them at any time.
func ExampleJWKS() {
	set := os.DirFS("testdata")
	server := httptest.NewServer(http.FileServerFS(set))
	defer server.Close()
	v := &jwt.Verifier{
		Keys:     &jwt.JWKS{URL: server.URL + "/keys.json"},
		Issuer:   "https://issuer.example",
		Audience: []string{"https://api.example.com"},
	}
	// This token was signed with the key in the set, and has expired since.
	token, err := os.ReadFile("testdata/token.txt")
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = v.Verify(context.Background(), string(token))
	fmt.Println(err)
	// Output:
	// jwt: token refused: it has expired
}

// An issuer publishes the public halves of its keys, and a service verifies tokens with them.
func ExamplePublish() {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		fmt.Println(err)
		return
	}
	issuer := &jwt.Signer{Key: private, Method: "ES256", KeyID: "2026-12"}
	mux := http.NewServeMux()
	mux.Handle("/keys", jwt.Publish(&jwt.Key{Key: private, Method: "ES256", ID: "2026-12"}))
	server := httptest.NewServer(mux)
	defer server.Close()

	service := &jwt.Verifier{Keys: &jwt.JWKS{URL: server.URL + "/keys"}}
	token, err := issuer.Token("ann", nil, time.Hour)
	if err != nil {
		fmt.Println(err)
		return
	}
	claims, err := service.Verify(context.Background(), token)
	fmt.Println(claims["sub"], err)
	// Output: ann <nil>
}
