package mac_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"time"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/mac"
	"github.com/countersign-go/countersign/transport"
)

// This is the example of the package comment, with the key of section 1.1 of the draft.
func ExampleBaseString() {
	req, err := http.NewRequest("GET", "http://example.com/resource/1?b=1&a=2", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	text, err := mac.BaseString(req, mac.Draft01, "1336363200", "dj83hs9s", "a,b,c")
	if err != nil {
		fmt.Println(err)
		return
	}
	keyed := hmac.New(sha1.New, []byte("489dks293j39"))
	keyed.Write([]byte(text))
	fmt.Print(text, base64.StdEncoding.EncodeToString(keyed.Sum(nil)))
	// Output:
	// 1336363200
	// dj83hs9s
	// GET
	// /resource/1?b=1&a=2
	// example.com
	// 80
	// a,b,c
	// GwJQDYyti3APlpfcBzcOUqHvlvY=
}

// A macauthlib server signs other text for a path than the draft does.
func ExampleBaseString_webOb() {
	req, err := http.NewRequest("GET", "http://example.com/a%2Fb/caf%c3%a9?x=%2f", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, d := range []mac.Dialect{mac.Draft01, mac.WebOb, mac.Django} {
		text, err := mac.BaseString(req, d, "1336363200", "dj83hs9s", "")
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println(strings.Split(text, "\n")[3])
	}
	// Output:
	// /a%2Fb/caf%c3%a9?x=%2f
	// /a/b/caf%C3%A9?x=%2f
	// mac: request cannot be signed: the decoded path is not printable ASCII, which Django needs
}

// Credentials print without their key.
func ExampleCredentials() {
	c := &mac.Credentials{ID: "h480djs93hd8", Key: []byte("489dks293j39"), Algorithm: mac.SHA1}
	fmt.Println(c.ID, c.Key)
	fmt.Println(strings.Contains(fmt.Sprintf("%s %q %#v", c, c.Key, *c), "489dks293j39"))
	// Output:
	// h480djs93hd8 [redacted]
	// false
}

// A Signer is mostly the Signer of a client. A program can also sign a request by hand.
func ExampleSigner_Sign() {
	signer := &mac.Signer{Source: &mac.Credentials{ID: "h480djs93hd8", Key: []byte("489dks293j39")}}
	req, err := http.NewRequest("GET", "https://api.example.com/lucky", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := signer.Sign(req, time.Unix(1336363200, 0)); err != nil {
		fmt.Println(err)
		return
	}
	header := req.Header.Get("Authorization")
	fixed, _, _ := strings.Cut(header, "nonce")
	fmt.Println(fixed, len(header))
	// Output: MAC id="h480djs93hd8", ts="1336363200",  116
}

// A Signer reads the cause of a refusal, and the server's time.
func ExampleSigner_Read() {
	signer := &mac.Signer{}
	for _, challenge := range []string{
		`MAC error="stale", ts="1336363200"`,
		`MAC error="nonce"`,
		`MAC error="expired"`,
		`MAC`,
		`Negotiate`,
	} {
		resp := &http.Response{Header: http.Header{"Www-Authenticate": {challenge}}}
		refusal := signer.Read(resp)
		fmt.Printf("%q %d\n", refusal.Cause, max(refusal.ServerTime.Unix(), 0))
	}
	// Output:
	// "stale" 1336363200
	// "nonce" 0
	// "credential" 0
	// "unknown" 0
	// "" 0
}

// A cache of credentials is told which of them were accepted and which were refused, and then
// returns others.
func ExampleSigner_Refresh() {
	fetched := 0
	signer := &mac.Signer{Source: &creds.Cache[*mac.Credentials]{
		Fetch: func(context.Context) (*mac.Credentials, error) {
			fetched++
			return &mac.Credentials{ID: strconv.Itoa(fetched), Key: []byte("489dks293j39")}, nil
		},
		ID: func(c *mac.Credentials) string { return c.ID },
	}}
	req, err := http.NewRequest("GET", "https://api.example.com/lucky", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := signer.Sign(req, time.Now()); err != nil {
		fmt.Println(err)
		return
	}
	accepted := &http.Response{StatusCode: http.StatusOK, Request: req}
	if err := signer.Observe(accepted, transport.OutcomeAccepted); err != nil {
		fmt.Println(err)
		return
	}
	refused := &http.Response{StatusCode: http.StatusUnauthorized, Request: req}
	again, err := signer.Refresh(refused)
	fmt.Println(again, errors.Is(err, transport.ErrYoung), fetched)
	// Output: true true 2
}

// A Verifier protects a handler.
func ExampleVerifier_Authenticate() {
	verifier := &mac.Verifier{Keys: func(_ context.Context, id string) (*mac.Key, error) {
		if id != "h480djs93hd8" {
			return nil, mac.ErrUnknownID
		}
		ann := auth.Identity{Subject: "ann"}
		return &mac.Key{Secret: []byte("489dks293j39"), Identity: ann}, nil
	}}
	handler := auth.Require(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		id, _ := auth.FromContext(req.Context())
		fmt.Println("hello", id.Subject)
	}), verifier)

	req := httptest.NewRequest("GET", "/lucky", nil)
	signer := &mac.Signer{Source: &mac.Credentials{ID: "h480djs93hd8", Key: []byte("489dks293j39")}}
	if err := signer.Sign(req, time.Now()); err != nil {
		fmt.Println(err)
		return
	}
	for range 2 { // the second time is a replay
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, req)
		fmt.Printf("%d %q\n", w.Code, w.Header().Get("WWW-Authenticate"))
	}
	// Output:
	// hello ann
	// 200 ""
	// 401 "MAC error=\"nonce\""
}

// The client gets a challenge without details. Only the log gets the reason.
func ExampleVerifier_Challenge() {
	verifier := &mac.Verifier{}
	for _, err := range []error{
		auth.ErrNone, mac.ErrReplayed, mac.ErrExpired, mac.ErrInvalid, mac.ErrDigest,
	} {
		h := http.Header{}
		verifier.Challenge(h, httptest.NewRequest("GET", "/", nil), err)
		fmt.Println(h.Get("WWW-Authenticate"), "-", err)
	}
	// Output:
	// MAC - auth: no credentials for this scheme
	// MAC error="nonce" - mac: nonce was used before
	// MAC error="expired" - mac: credentials have expired
	// MAC error="invalid" - mac: unknown id or wrong MAC
	// MAC error="invalid" - mac: body does not match its digest
}

// A program finds wrong credentials when it starts, not at its first request.
func ExampleSigner_Check() {
	key := []byte("489dks293j39\n") // as read from a file
	signer := &mac.Signer{Source: &mac.Credentials{ID: "h480djs93hd8", Key: key}}
	fmt.Println(signer.Check())
	// Output: mac: credentials cannot be used: the Key ends in a line feed: trim it
}

// A server finds a wrong configuration when it starts.
func ExampleVerifier_Check() {
	fmt.Println((&mac.Verifier{}).Check())
	// Output: mac: the Verifier cannot work: the field Keys is not set
}

// A client says in ext which tenant a request is for, and the handler reads it.
func ExampleExt() {
	verifier := &mac.Verifier{
		Keys: func(context.Context, string) (*mac.Key, error) {
			return &mac.Key{Secret: creds.Secret("489dks293j39")}, nil
		},
	}
	handler := auth.Require(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		id, _ := auth.FromContext(req.Context())
		ext, ok := id.Claims["mac.ext"].(mac.Ext)
		fmt.Println(ext, ok)
	}), verifier)

	signer := &mac.Signer{
		Source: &mac.Credentials{ID: "h480djs93hd8", Key: []byte("489dks293j39")},
		Ext:    func(*http.Request) (string, error) { return "tenant=7", nil },
	}
	req := httptest.NewRequest("GET", "/", nil)
	if err := signer.Sign(req, time.Now()); err != nil {
		fmt.Println(err)
		return
	}
	handler.ServeHTTP(httptest.NewRecorder(), req)
	// Output: tenant=7 true
}

// A service that replaced one with auth_mac still accepts its clients for a while.
func ExampleTransition() {
	verifier := &mac.Verifier{
		Keys: func(context.Context, string) (*mac.Key, error) {
			return &mac.Key{Secret: creds.Secret("489dks293j39"), Algorithm: mac.SHA1}, nil
		},
		Transition: &mac.Transition{
			Until:  time.Now().AddDate(0, 3, 0),
			Port:   "8000", // of the old service's own socket
			Logger: slog.New(slog.DiscardHandler),
		},
	}
	old := &mac.Signer{
		Source: &mac.Credentials{ID: "h480djs93hd8", Key: []byte("489dks293j39"),
			Algorithm: mac.SHA1},
		Dialect: mac.Django,
		Port:    "8000",
	}
	req, err := http.NewRequest("GET", "https://api.example.com/lucky?q=1", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := old.Sign(req, time.Now()); err != nil {
		fmt.Println(err)
		return
	}
	req.RequestURI = req.URL.RequestURI() // as the server receives it
	id, err := verifier.Authenticate(req)
	fmt.Println(id.Subject, err)
	// Output: h480djs93hd8 <nil>
}
