package provision_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/basic"
	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/mac"
	"github.com/countersign-go/countersign/portal"
	"github.com/countersign-go/countersign/provision"
	"github.com/countersign-go/countersign/provision/issue"
	"github.com/countersign-go/countersign/transport"
)

func ExampleMarshal() {
	c := &mac.Credentials{
		ID:      "h480djs93",
		Key:     creds.Secret("489dks293"),
		Expires: time.Unix(1400000300, 0),
	}
	fmt.Println("printed:", c.Key) // by accident, say

	data, err := provision.Marshal(c) // on purpose
	fmt.Println(string(data), err)
	// Output:
	// printed: [redacted]
	// {"id":"h480djs93","key":"489dks293","algorithm":"hmac-sha-256","expires":1400000300} <nil>
}

func ExampleUnmarshal() {
	c, err := provision.Unmarshal([]byte(`{"id":"h480djs93hd8","key":"489dks293j39"}`))
	fmt.Println(c.ID, c.Algorithm, c.Expires.IsZero(), err)

	_, err = provision.Unmarshal([]byte(`{"id":"h480djs93hd8","key":"489dks293j39","key":"x"}`))
	fmt.Println(err)
	// Output:
	// h480djs93hd8 hmac-sha-1 true <nil>
	// provision: credentials cannot be read: a name occurs twice in one object
}

func ExampleIssuer() {
	issuer := &issue.Issuer{
		Secrets:  []creds.Secret{creds.Secret("at least 16 random bytes")},
		Lifetime: 10 * time.Minute,
	}
	c, err := issuer.Issue(context.Background(), &auth.Identity{Subject: "ann"})
	if err != nil {
		fmt.Println(err)
		return
	}
	// No database: the key follows from the id. A mac.Verifier takes issuer.Key as its Keys.
	key, err := issuer.Key(context.Background(), c.ID)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(key.Identity.Subject, string(key.Secret) == string(c.Key))

	_, err = issuer.Key(context.Background(), "made-up")
	fmt.Println(err)
	// Output:
	// ann true
	// mac: unknown id: not in URL-safe base64, padded
}

// A service that gives MAC credentials to clients with a password, and takes them everywhere else.
func ExampleHandler() {
	issuer := &issue.Issuer{Secrets: []creds.Secret{creds.Secret("at least 16 random bytes")}}
	users := portal.Memory{"ann": creds.Secret("correct horse")}

	mux := http.NewServeMux()
	mux.Handle("/provision", &issue.Handler{
		Auth:  basic.Verifier{Realm: "provisioning", Users: users},
		Issue: issuer.Issue,
	})
	hello := func(w http.ResponseWriter, req *http.Request) {
		id, _ := auth.FromContext(req.Context())
		fmt.Fprintf(w, "hello %s", id.Subject)
	}
	mux.Handle("/", auth.Require(http.HandlerFunc(hello), &mac.Verifier{Keys: issuer.Key}))

	show := func(resp *http.Response, err error) {
		if err != nil {
			fmt.Println(err)
			return
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		fmt.Println(resp.StatusCode, len(body) > 0, err)
	}
	client := &http.Client{Transport: direct{mux}} // no sockets in this example
	show(client.Post("https://api.example/provision", "", nil))

	req, _ := http.NewRequest("POST", "https://api.example/provision", nil)
	req.SetBasicAuth("ann", "correct horse")
	show(client.Do(req))
	// Output:
	// 401 true <nil>
	// 200 true <nil>
}

// A client that uses a password once and signs with MAC from then on. It fetches credentials when
// it needs some, and new ones before they expire or when a server refuses them.
func ExampleClient() {
	service := exampleService() // as in the example of Handler

	source := &provision.Client{
		URL:    "https://api.example/provision",
		Signer: basic.Signer{User: "ann", Password: creds.Secret("correct horse")},
		HTTP:   &http.Client{Transport: service},
	}
	client := &http.Client{Transport: &transport.Transport{
		Signer: &mac.Signer{Source: source},
		Base:   service,
	}}
	resp, err := client.Get("https://api.example/")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	fmt.Println(resp.StatusCode, string(body), err)
	// Output: 200 hello ann <nil>
}

func exampleService() http.RoundTripper {
	issuer := &issue.Issuer{Secrets: []creds.Secret{creds.Secret("at least 16 random bytes")}}
	users := portal.Memory{"ann": creds.Secret("correct horse")}
	hello := func(w http.ResponseWriter, req *http.Request) {
		id, _ := auth.FromContext(req.Context())
		fmt.Fprintf(w, "hello %s", id.Subject)
	}
	mux := http.NewServeMux()
	mux.Handle("/provision", &issue.Handler{
		Auth: basic.Verifier{Users: users}, Issue: issuer.Issue,
	})
	mux.Handle("/", auth.Require(http.HandlerFunc(hello), &mac.Verifier{Keys: issuer.Key}))
	return direct{mux}
}
