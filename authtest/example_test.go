package authtest_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jarcoal/httpmock"

	"github.com/countersign-go/countersign"
	"github.com/countersign-go/countersign/authtest"
	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/mac"
	"github.com/countersign-go/countersign/transport"
)

// t stands for the argument of a test.
var t = new(testing.T)

// A service whose clock is an hour ahead, and which revokes the credentials of one request while it
// is on its way.
func ExampleService() {
	service := authtest.NewService(t)
	client := countersign.NewClient(countersign.Config{
		Signer: &mac.Signer{Source: service.Provisioner()}, Base: service,
	})
	get := func() *http.Response {
		resp, err := client.Get("https://api.example.com/")
		if err != nil {
			fmt.Println(err)
			return nil
		}
		_ = resp.Body.Close()
		return resp
	}
	get() // the request succeeds
	service.Set(authtest.Faults{Offset: time.Hour, RevokeInFlight: 1})
	resp := get()
	for _, attempt := range transport.History(resp) {
		fmt.Printf("%d %q\n", attempt.Status, attempt.Cause)
	}
	fmt.Println(service.Seen().Issued, "keys were issued")
	// Output:
	// 401 "stale"
	// 401 "credential"
	// 200 ""
	// 2 keys were issued
}

// A test can ask afterwards which requests the service has received.
func ExampleService_Seen() {
	service := authtest.NewService(t)
	client := countersign.NewClient(countersign.Config{Signer: service.JWT(), Base: service})
	service.Set(authtest.Faults{Requests: authtest.Trouble{Times: 1, LoseAnswer: true}})
	for _, path := range []string{"/a", "/b?q=not-logged"} {
		resp, err := client.Get("https://api.example.com" + path)
		if err != nil {
			fmt.Println(err)
			return
		}
		_ = resp.Body.Close()
	}
	seen := service.Seen()
	fmt.Println(seen.Requests, seen.Accepted, len(seen.Refused))
	for _, entry := range seen.Log {
		fmt.Println(entry)
	}
	// Output:
	// 3 3 0
	// GET api.example.com/a: connection closed
	// GET api.example.com/a: 200
	// GET api.example.com/b: 200
}

// A mock that answers requests with a valid signature.
func ExampleResponder() {
	key := &mac.Credentials{ID: "bot", Key: creds.Secret("a key for this example")}
	verifier := &mac.Verifier{Keys: mac.KeyFunc(keyOf(key))}
	mock := httpmock.NewMockTransport()
	mock.RegisterResponder("GET", "https://api.example.com/",
		authtest.Responder(verifier, httpmock.NewStringResponder(200, "42")))

	other := &mac.Credentials{ID: "bot", Key: creds.Secret("another key")}
	for _, source := range []*mac.Credentials{key, other} {
		client := countersign.NewClient(countersign.Config{
			Signer: &mac.Signer{Source: source}, Base: mock,
		})
		resp, err := client.Get("https://api.example.com/")
		if err != nil {
			fmt.Println(err)
			return
		}
		_ = resp.Body.Close()
		fmt.Println(resp.StatusCode, resp.Header["Www-Authenticate"])
	}
	// Output:
	// 200 []
	// 401 [MAC error="invalid"]
}

// The same text each time, for a golden file.
func ExampleDump() {
	signer := &mac.Signer{
		Source: &mac.Credentials{ID: "bot", Key: creds.Secret("a key for this example")},
	}
	req, err := http.NewRequest("PUT", "https://api.example.com/items/1", strings.NewReader("42"))
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := signer.Sign(req, time.Now()); err != nil {
		fmt.Println(err)
		return
	}
	text, err := authtest.Dump(req)
	fmt.Println(text, err)
	// Output:
	// PUT /items/1 HTTP/1.1
	// Host: api.example.com
	// Authorization: MAC id="ID", ts="TS", nonce="NONCE", mac="MAC"
	//
	// 42 <nil>
}

// A recorder keeps the answers of a service and replays them to another client, with another key,
// at another time.
func ExampleRecorder() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "answers.json")
	service := authtest.NewService(t)
	for _, recorder := range []*authtest.Recorder{{File: file, Base: service}, {File: file}} {
		client := countersign.NewClient(countersign.Config{
			Signer: &mac.Signer{Source: service.Provisioner()}, Base: recorder,
		})
		resp, err := client.Get("https://api.example.com/")
		if err != nil {
			fmt.Println(err)
			return
		}
		_ = resp.Body.Close()
		fmt.Println(resp.StatusCode, service.Seen().Requests)
	}
	// Output:
	// 200 1
	// 200 1
}
