package basic_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/basic"
	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/portal"
	"github.com/countersign-go/countersign/transport"
)

// Only users with a password reach the handler.
func ExampleVerifier() {
	hello := http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		id, _ := auth.FromContext(req.Context())
		fmt.Fprintln(w, "hello,", id.Subject)
	})
	users := portal.Memory{"ann": creds.Secret("correct horse")}
	protected := auth.Require(hello, basic.Verifier{Realm: "the lab", Users: users})

	for _, password := range []string{"correct horse", "battery staple"} {
		req := httptest.NewRequest("GET", "/", nil)
		req.SetBasicAuth("ann", password)
		w := httptest.NewRecorder()
		protected.ServeHTTP(w, req)
		fmt.Printf("%d %q %s", w.Code, w.Header()["Www-Authenticate"], w.Body)
	}
	// Output:
	// 200 [] hello, ann
	// 401 ["Basic realm=\"the lab\", charset=\"UTF-8\""] authentication required
}

// Guesses at one password are limited before a hash is computed, from whatever address they come.
func ExampleVerifier_attempt() {
	perUser := &auth.Limiter{Every: time.Minute, Burst: 2}
	v := &basic.Verifier{
		Users: portal.Memory{"ann": creds.Secret("correct horse")},
		Attempt: func(_ *http.Request, user string) (func(error), error) {
			return perUser.Attempt(user)
		},
	}
	page := auth.Require(http.NotFoundHandler(), v)

	for _, password := range []string{"123456", "password", "qwerty"} {
		req := httptest.NewRequest("GET", "/", nil)
		req.SetBasicAuth("ann", password)
		w := httptest.NewRecorder()
		page.ServeHTTP(w, req)
		fmt.Println(w.Code, w.Header()["Retry-After"])
	}
	// Output:
	// 401 []
	// 401 []
	// 429 [60]
}

// A client sends a password with each request. Over plain http, that works only for a loopback
// address.
func ExampleSigner() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		user, password, _ := req.BasicAuth()
		fmt.Fprintln(w, user, password)
	}))
	defer server.Close()

	client := &http.Client{Transport: &transport.Transport{
		Signer: basic.Signer{User: "ann", Password: creds.Secret("correct horse")},
	}}
	resp, err := client.Get(server.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	fmt.Print(string(body))
	// Output: ann correct horse
}

// A program fails when it starts, and not at its first request.
func ExampleSigner_Check() {
	signer := basic.Signer{User: "ann", Password: creds.Secret("correct horse\n")}
	fmt.Println(signer.Check())
	// Output: basic: cannot sign: the Password ends in a line feed: trim it
}
