package raven_test

import (
	"errors"
	"fmt"
	"strings"

	"github.com/countersign-go/countersign/raven"
)

func ExampleRequest_Query() {
	r := &raven.Request{
		URL:    "https://app.example.org/page?a=1",
		Desc:   "R&D café",
		AAuth:  []string{raven.AuthPassword},
		Params: "a-secret-of-the-session",
	}
	query, err := r.Query()
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(raven.Demo().LoginURL + "?")
	fmt.Println(strings.ReplaceAll(query, "&", "&\n"))
	// Output:
	// https://demo.raven.cam.ac.uk/auth/authenticate.html?
	// ver=3&
	// url=https%3A%2F%2Fapp.example.org%2Fpage%3Fa%3D1&
	// desc=R%26amp%3BD+caf%26%23233%3B&
	// aauth=pwd&
	// params=a-secret-of-the-session
}

// An answer that the operator's demonstration service gave in 2013.
func ExampleService_Parse() {
	const answer = "3!200!!20130704T122413Z!1372940650-10196-2!" +
		"https://demo.raven.cam.ac.uk/nonexistant!test0001!current!!pwd!35873!!901!" +
		"m9S7JSnLZ2.ZoZc1t8Bn4wAfV1LtMhjPwl0eeunAWBPmXLWmhlgFrrS69GLFYkxXSUBjbuq42QZlktRRbb5KKA" +
		"mB8mRfWWHG3q6-P0H8kjrWloFMWSMH3mGsmpbeqhakHwhsOW5NjZpiIaFsFNPsEr8Tv5NWoCFC0DCtkJLZzAg_"
	r, err := raven.Demo().Parse(answer)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(r.Status, r.Principal, r.PTags, r.SSO, r.Life)

	_, err = raven.Demo().Parse(strings.Replace(answer, "test0001", "test0002", 1))
	fmt.Println(errors.Is(err, raven.ErrSignature))
	// Output:
	// success test0001 [current] [pwd] 9h57m53s
	// true
}

// A site that requires the password each time refuses an answer by single sign-on.
func ExampleResponse_Satisfies() {
	r := &raven.Response{Status: raven.StatusSuccess, Principal: "abc12", SSO: []string{"pwd"}}
	fmt.Println(r.Satisfies(raven.AsNeeded, []string{raven.AuthPassword}))
	fmt.Println(r.Satisfies(raven.Must, nil))
	// Output:
	// true
	// false
}

func ExampleParseKey() {
	_, err := raven.ParseKey([]byte(`-----BEGIN RSA PRIVATE KEY-----
-----END RSA PRIVATE KEY-----`))
	fmt.Println(err)
	// Output: raven: key cannot be used: a PEM block "RSA PRIVATE KEY" is not a public key
}

func ExampleFingerprint() {
	fmt.Println(raven.Fingerprint(raven.Demo().Keys["901"]))
	// Output: d61f4109c85e19bf58a4e7efaf822a4cf1b97a1dd25dcdd363b6d2386ec41a77
}

func ExampleLive() {
	pem := []byte("the file that the operator publishes as key 2")
	_, err := raven.Live(pem)
	fmt.Println(err)
	// Output: raven: key cannot be used: it is not PEM
}

func ExampleStatus_Description() {
	fmt.Println(raven.StatusCancelled, raven.StatusCancelled.Description())
	// Output: cancelled You cancelled the login.
}
