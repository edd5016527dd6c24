package transport_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"time"

	"github.com/countersign-go/countersign/transport"
)

// handler answers requests without a network.
type handler func(http.ResponseWriter, *http.Request)

func (h handler) RoundTrip(req *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	h(w, req)
	return w.Result(), nil
}

// A function that sets a header field can be a Signer.
func ExampleTransport() {
	sign := func(req *http.Request, now time.Time) error {
		req.Header.Set("X-Api-Key", "k-1")
		return nil
	}
	client := &http.Client{Transport: &transport.Transport{
		Signer: transport.SignerFunc(sign),
		Base: handler(func(w http.ResponseWriter, req *http.Request) {
			fmt.Println("sent:", req.Header.Get("X-Api-Key"))
		}),
	}}
	resp, err := client.Get("https://api.example.com/")
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = resp.Body.Close()
	fmt.Println("got:", resp.StatusCode)
	// Output:
	// sent: k-1
	// got: 200
}

// After a refusal, History returns the attempts and the reason why no other followed.
func ExampleHistory() {
	client := &http.Client{Transport: &transport.Transport{
		Signer: transport.SignerFunc(func(req *http.Request, now time.Time) error {
			req.Header.Set("X-Api-Key", "k-1")
			return nil
		}),
		Base: handler(func(w http.ResponseWriter, req *http.Request) {
			w.WriteHeader(http.StatusUnauthorized)
		}),
	}}
	resp, err := client.Get("https://api.example.com/")
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = resp.Body.Close()
	for _, attempt := range transport.History(resp) {
		fmt.Println(attempt)
	}
	// Output:
	// 401 unknown, stopped: no other credentials
}

func ExampleByOrigin() {
	key := func(value string) transport.Signer {
		return transport.SignerFunc(func(req *http.Request, _ time.Time) error {
			req.Header.Set("X-Api-Key", value)
			return nil
		})
	}
	client := &http.Client{Transport: &transport.Transport{
		Signer: transport.ByOrigin{
			"https://api.example.com":       key("a"),
			"https://files.example.com:444": key("f"),
		},
		Base: handler(func(w http.ResponseWriter, req *http.Request) {
			fmt.Printf("%s %q\n", req.URL.Host, req.Header.Get("X-Api-Key"))
		}),
	}}
	for _, u := range []string{"https://api.example.com/", "https://files.example.com:444/",
		"https://www.example.org/"} {
		resp, err := client.Get(u)
		if err != nil {
			fmt.Println(err)
			return
		}
		_ = resp.Body.Close()
	}
	// Output:
	// api.example.com "a"
	// files.example.com:444 "f"
	// www.example.org ""
}

// Each request is signed for the user in its context.
func ExampleChoose() {
	type userKey struct{}
	keys := map[string]string{"ann": "a", "bob": "b"}
	client := &http.Client{Transport: &transport.Transport{
		Signer: transport.Choose(func(req *http.Request) (transport.Signer, error) {
			user, _ := req.Context().Value(userKey{}).(string)
			key, ok := keys[user]
			if !ok {
				return nil, errors.New("no user in the context")
			}
			return transport.SignerFunc(func(req *http.Request, _ time.Time) error {
				req.Header.Set("X-Api-Key", key)
				return nil
			}), nil
		}),
		Base: handler(func(w http.ResponseWriter, req *http.Request) {
			fmt.Printf("%q\n", req.Header.Get("X-Api-Key"))
		}),
	}}
	for _, user := range []string{"ann", "bob", "eve"} {
		ctx := context.WithValue(context.Background(), userKey{}, user)
		req, _ := http.NewRequestWithContext(ctx, "GET", "https://api.example.com/", nil)
		resp, err := client.Do(req)
		if err != nil {
			fmt.Println(err)
			continue
		}
		_ = resp.Body.Close()
	}
	// Output:
	// "a"
	// "b"
	// Get "https://api.example.com/": no user in the context
}

// A process can start with the offset that an earlier process has stored.
func ExampleClock() {
	u, _ := url.Parse("https://api.example.com")
	clock := &transport.Clock{Moved: func(u *url.URL, offset time.Duration) {
		fmt.Println("store for the next process:", u, offset)
	}}
	clock.Set(u, -90*time.Second) // as the earlier process stored it
	fmt.Println("off by", time.Until(clock.Now(u)).Round(time.Second))
	// Output:
	// off by -1m30s
}
