package main

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/jwt"
)

// tokens is the other way to sign: JSON Web Tokens, which the service gives to users who log in,
// and verifies itself. Like the keys, they end with the process.
type tokens struct {
	maker    *jwt.Signer
	verifier *jwt.Verifier
}

func newTokens(lifetime time.Duration) tokens {
	const method = "HS256"
	secret := creds.Secret(rand.Text() + rand.Text())
	return tokens{
		&jwt.Signer{Key: secret, Method: method, Lifetime: lifetime},
		&jwt.Verifier{Keys: &jwt.Key{Key: secret, Method: method}, Realm: "luckynum"},
	}
}

// giveToken answers a POST of username and password with a token.
func (s *service) giveToken(t tokens, guesses *auth.Limiter) http.Handler {
	guard := &auth.Guard{
		Stack:   auth.Stack{form{s.users}},
		Decided: guesses.Decided,
		Logger:  s.logger,
	}
	return guesses.Handler(guard.Handler(http.HandlerFunc(
		func(w http.ResponseWriter, req *http.Request) {
			id, _ := auth.FromContext(req.Context())
			token, err := t.maker.Token(id.Subject, nil, 0)
			if err != nil {
				http.Error(w, "no token could be made", http.StatusInternalServerError)
				return
			}
			s.tokens.Add(1)
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Cache-Control", "no-store")
			_ = json.NewEncoder(w).Encode(map[string]string{"token": token})
		})))
}

// A form is an auth.Authenticator for the fields of a login form.
type form struct{ users userList }

// Authenticate checks the name and the password in the request's body, of which it reads at most 4
// KiB.
func (f form) Authenticate(req *http.Request) (*auth.Identity, error) {
	const enough = 4 << 10
	req.Body = http.MaxBytesReader(nil, req.Body, enough)
	user, password := req.PostFormValue("username"), req.PostFormValue("password")
	if user == "" && password == "" {
		return nil, auth.ErrNone
	}
	subject, err := f.users.CheckPassword(req.Context(), user, creds.Secret(password))
	switch {
	case errors.Is(err, creds.ErrWrong):
		return nil, err
	case err != nil:
		return nil, fmt.Errorf("%w: %w", auth.ErrUnavailable, err)
	}
	return &auth.Identity{Subject: subject, Scheme: "Form"}, nil
}

// Challenge must name a scheme, although a program can do no more with this one than tell a person.
func (form) Challenge(h http.Header, _ *http.Request, _ error) {
	h.Add("WWW-Authenticate", `Form realm="luckynum"`)
}
