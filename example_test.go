package countersign_test

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/countersign-go/countersign"
	"github.com/countersign-go/countersign/bearer"
	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/jwt"
	"github.com/countersign-go/countersign/mac"
	"github.com/countersign-go/countersign/transport"
)

// carried stands in for the network. It prints what a request carries, but no secret.
type carried struct{}

func (carried) RoundTrip(req *http.Request) (*http.Response, error) {
	scheme, _, _ := strings.Cut(req.Header.Get("Authorization"), " ")
	fmt.Printf("%s: Authorization %q", req.URL.Host, scheme)
	for _, c := range req.Cookies() {
		fmt.Printf(", a cookie %q", c.Name)
	}
	fmt.Println()
	return &http.Response{
		Status: "204 No Content", StatusCode: http.StatusNoContent, Header: make(http.Header),
		Body: io.NopCloser(strings.NewReader("")), Request: req,
	}, nil
}

func get(client *http.Client, urls ...string) {
	for _, u := range urls {
		resp, err := client.Get(u)
		if err != nil {
			fmt.Println(err)
			continue
		}
		_ = resp.Body.Close()
	}
}

// A client for one service is an ordinary http.Client.
func ExampleNewClient() {
	client := countersign.NewClient(countersign.Config{
		Signer: &mac.Signer{
			Source: &mac.Credentials{ID: "id", Key: creds.Secret("a key for this example")},
		},
		Base: carried{}, // leave this out: it stands in for the network
	})
	resp, err := client.Get("https://lucky.example.com/")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	fmt.Println(resp.Status)
	// Output:
	// lucky.example.com: Authorization "MAC"
	// 204 No Content
}

// Wrap returns a copy of a program's own client that signs and keeps its settings.
func ExampleWrap() {
	client := &http.Client{Timeout: 10 * time.Second, Transport: carried{}}
	signed := countersign.Wrap(client, countersign.Config{
		Signer: &bearer.Signer{
			Source: bearer.StaticToken(creds.Secret("a-token-for-this-example")),
		},
	})
	get(signed, "https://api.example.org/")
	get(client, "https://api.example.org/")
	fmt.Println(signed.Timeout)
	// Output:
	// api.example.org: Authorization "Bearer"
	// api.example.org: Authorization ""
	// 10s
}

// down stands in for a service that restarts.
type down struct{}

func (down) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: http.StatusServiceUnavailable, Header: make(http.Header), Body: http.NoBody,
	}, nil
}

// This client repeats a request once, and logs that. transport.History returns all attempts.
func ExampleConfig_retries() {
	short := func(_ []string, a slog.Attr) slog.Attr {
		switch a.Key {
		case slog.TimeKey, "wait", "origin", "method": // left out, since the first two vary
			return slog.Attr{}
		}
		return a
	}
	client := countersign.NewClient(countersign.Config{
		Signer: &bearer.Signer{
			Source: bearer.StaticToken(creds.Secret("a-token-for-this-example")),
		},
		Base: down{}, // leave this out: it stands in for the network
		Logger: slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
			Level: slog.LevelDebug, ReplaceAttr: short,
		})),
		Retries: 1,
	})
	resp, err := client.Get("https://api.example.org/a")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	fmt.Println(transport.History(resp))
	// Output:
	// level=DEBUG msg="request repeated" path=/a attempt=1 status=503
	// level=WARN msg="request failed, and so did its repetitions" path=/a attempt=2 status=503
	// [503 503]
}

// A program can check its configuration at its start, before its first request.
func ExampleConfig_Check() {
	config := countersign.Config{
		Signer: &bearer.Signer{
			Source: bearer.StaticToken(creds.Secret("a-token-for-this-example")),
		},
		Origins: []string{"a"},
	}
	if err := config.Check(); err != nil {
		fmt.Println(err)
		return
	}
	client := countersign.NewClient(config)
	get(client, "https://api.example.org/")
	// Output:
	// transport: Origins has "a", which is not an origin like "https://api.example.com:8443"
}

// One client can sign for several services, each with its own scheme. Other origins get no
// credentials.
func ExampleNewClient_severalServices() {
	client := countersign.NewClient(countersign.Config{
		Signer: transport.ByOrigin{
			"https://lucky.example.com": &mac.Signer{
				Source: &mac.Credentials{ID: "id", Key: creds.Secret("a key for this example")},
			},
			"https://api.example.org": &bearer.Signer{
				Source: bearer.StaticToken(creds.Secret("a-token-for-this-example")),
			},
		},
		Base: carried{},
	})
	get(client, "https://lucky.example.com/", "https://api.example.org/", "https://example.net/")
	// Output:
	// lucky.example.com: Authorization "MAC"
	// api.example.org: Authorization "Bearer"
	// example.net: Authorization ""
}

// A request can have credentials of two schemes: a signature in Authorization, and a token in a
// cookie. A Transport is an http.RoundTripper, so it can be the Base of another Transport. Each
// handles its own refusals.
func ExampleNewClient_twoSchemes() {
	client := countersign.NewClient(countersign.Config{
		Signer: &mac.Signer{
			Source: &mac.Credentials{ID: "id", Key: creds.Secret("a key for this example")},
		},
		Base: &transport.Transport{
			Signer: &jwt.Signer{
				Key:    creds.Secret("a secret of 32 bytes for HS256.."),
				Method: "HS256",
				Claims: func(*http.Request) (map[string]any, error) {
					return map[string]any{"sub": "ann"}, nil
				},
				Cookie: "session",
			},
			Base: carried{},
		},
	})
	get(client, "https://lucky.example.com/")
	// Output:
	// lucky.example.com: Authorization "MAC", a cookie "session"
}
