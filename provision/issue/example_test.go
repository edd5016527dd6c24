package issue_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"time"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/basic"
	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/mac"
	"github.com/countersign-go/countersign/portal"
	"github.com/countersign-go/countersign/provision/issue"
)

// A master secret is replaced while requests are served, and no client notices. As long as
// credentials of the old one last, both secrets verify.
func ExampleIssuer_rotation() {
	ctx := context.Background()
	june, july := creds.Secret("random bytes of june"), creds.Secret("random bytes of july")

	var current atomic.Pointer[issue.Issuer]
	current.Store(&issue.Issuer{Secrets: []creds.Secret{june}})
	keys := func(ctx context.Context, id string) (*mac.Key, error) { // for a mac.Verifier
		return current.Load().Key(ctx, id)
	}
	c, err := current.Load().Issue(ctx, &auth.Identity{Subject: "ann"})
	if err != nil {
		fmt.Println(err)
		return
	}

	current.Store(&issue.Issuer{Secrets: []creds.Secret{july, june}})
	_, err = keys(ctx, c.ID)
	fmt.Println("both:", err)

	current.Store(&issue.Issuer{Secrets: []creds.Secret{july}})
	_, err = keys(ctx, c.ID)
	fmt.Println("the new one alone:", err)
	// Output:
	// both: <nil>
	// the new one alone: mac: unknown id: not signed with any of the secrets
}

// The id contains the node that serves a user, so the nodes need no database. The credentials of
// guests end sooner.
func ExampleIssuer_terms() {
	ctx := context.Background()
	issuer := &issue.Issuer{
		Secrets:  []creds.Secret{creds.Secret("at least 16 random bytes")},
		Lifetime: time.Hour,
		Terms: func(_ context.Context, id *auth.Identity) (issue.Terms, error) {
			terms := issue.Terms{Claims: map[string]any{"node": "node-7.example"}}
			if id.Subject == "guest" {
				terms.Lifetime = time.Minute
			}
			return terms, nil
		},
	}
	c, err := issuer.Issue(ctx, &auth.Identity{Subject: "guest"})
	if err != nil {
		fmt.Println(err)
		return
	}
	key, err := issuer.Key(ctx, c.ID)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(key.Identity.Claims["node"], time.Until(c.Expires) <= time.Minute)
	// Output: node-7.example true
}

// Credentials for clients in Python that only know SHA-1: older versions of pyramid_macauth, whose
// ids tokenlib signs with SHA-1 too.
func ExampleIssuer_sha1() {
	issuer := &issue.Issuer{
		Secrets:   []creds.Secret{creds.Secret("at least 16 random bytes")},
		Hash:      "sha1",
		Algorithm: mac.SHA1,
	}
	c, err := issuer.Issue(context.Background(), &auth.Identity{Subject: "ann"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(c.Algorithm, len(c.Key)) // 20 bytes in base64
	// Output: hmac-sha-1 28
}

// An administrator revokes the credentials of all users that were made before a given day.
func ExampleRegistry_All() {
	ctx := context.Background()
	registry := &issue.Registry{} // or with a Store that is a creds.Lister, such as a file.Dir
	for _, subject := range []string{"ann", "bob"} {
		if _, err := registry.Issue(ctx, &auth.Identity{Subject: subject}); err != nil {
			fmt.Println(err)
			return
		}
	}
	tomorrow := time.Now().AddDate(0, 0, 1)
	revoked := 0
	for entry, err := range registry.All(ctx) {
		if err == nil && entry.Created.Before(tomorrow) {
			err = registry.Revoke(ctx, entry.ID)
			revoked++
		}
		if err != nil {
			fmt.Println(err) // and go on with the next
		}
	}
	fmt.Println("revoked", revoked)
	// Output: revoked 2
}

// Credentials that can be listed and revoked. With a Store, such as a file.Dir, they outlive the
// process, and several processes share them.
func ExampleRegistry() {
	ctx := context.Background()
	registry := &issue.Registry{}
	for _, subject := range []string{"ann", "ann", "bob"} {
		if _, err := registry.Issue(ctx, &auth.Identity{Subject: subject}); err != nil {
			fmt.Println(err)
			return
		}
	}
	entries, err := registry.List(ctx, "ann")
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, e := range entries {
		fmt.Println(e.Subject, len(e.ID), e.Expires.Sub(e.Created))
	}

	fmt.Println(registry.Revoke(ctx, entries[0].ID))
	_, err = registry.Key(ctx, entries[0].ID)
	fmt.Println(err)

	fmt.Println(registry.RevokeAll(ctx, "ann"))
	entries, err = registry.List(ctx, "ann")
	fmt.Println(len(entries), err)
	// Output:
	// ann 16 24h0m0s
	// ann 16 24h0m0s
	// <nil>
	// mac: unknown id: not in the registry
	// <nil>
	// 0 <nil>
}

// Credentials of another service move to a Registry unchanged.
func ExampleRegistry_Add() {
	ctx := context.Background()
	registry := &issue.Registry{}
	_, err := registry.Add(ctx, &auth.Identity{Subject: "ann"}, mac.Credentials{
		ID:        "h480djs93hd8",
		Key:       creds.Secret("489dks293j39489dks293j39"),
		Algorithm: mac.SHA1,
		Expires:   time.Now().AddDate(0, 1, 0),
	})
	fmt.Println(err)

	_, err = registry.Add(ctx, &auth.Identity{Subject: "eve"}, mac.Credentials{ID: "h480djs93hd8"})
	fmt.Println(err)
	// Output:
	// <nil>
	// issue: there are credentials with this id already
}

// A Handler with all its limits: five wrong passwords from one address, a hundred credentials of
// one user at a time, and an audit line for each request.
func ExampleHandler_limits() {
	registry := &issue.Registry{Quota: 100}
	users := portal.Memory{"ann": creds.Secret("correct horse")}
	h := &issue.Handler{
		Auth:       basic.Verifier{Users: users},
		Issue:      registry.Issue,
		PerAddress: &auth.Limiter{Every: time.Minute, Burst: 5},
		PerSubject: &auth.Limiter{Every: time.Minute, Burst: 10},
		Audit: func(_ *http.Request, id *auth.Identity, credential string, err error) {
			switch {
			case err == nil:
				fmt.Println("audit:", id.Subject, "got one, with an id of", len(credential))
			case errors.Is(err, portal.ErrUnauthorized):
				fmt.Println("audit: wrong password")
			default:
				fmt.Println("audit:", err)
			}
		},
	}
	ask := func(password string) {
		req := httptest.NewRequest("POST", "/provision", nil)
		req.SetBasicAuth("ann", password)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, req)
		fmt.Println(w.Code, http.StatusText(w.Code))
	}
	ask("correct horse")
	for range 6 {
		ask("wrong")
	}
	// Output:
	// audit: ann got one, with an id of 16
	// 200 OK
	// audit: wrong password
	// 401 Unauthorized
	// audit: wrong password
	// 401 Unauthorized
	// audit: wrong password
	// 401 Unauthorized
	// audit: wrong password
	// 401 Unauthorized
	// audit: wrong password
	// 401 Unauthorized
	// 429 Too Many Requests
}
