package retry_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/hashicorp/go-retryablehttp"

	"github.com/countersign-go/countersign/retry"
	"github.com/countersign-go/countersign/transport"
)

// restarting stands in for a service. It holds the statuses of its answers, and 0 for a connection
// that ends.
type restarting []int

func (r *restarting) RoundTrip(req *http.Request) (*http.Response, error) {
	status := (*r)[0]
	if *r = (*r)[1:]; status == 0 {
		return nil, io.EOF
	}
	return &http.Response{StatusCode: status, Body: http.NoBody, Request: req}, nil
}

// This client repeats requests, and signs each attempt. It has a policy of retryablehttp, and short
// waits. The same Transport can be used as countersign.Config.Retry.
func ExampleTransport() {
	sign := transport.SignerFunc(func(req *http.Request, _ time.Time) error {
		req.Header.Set("Authorization", "Bearer a-token-for-this-example")
		return nil
	})
	client := &http.Client{Transport: &retry.Transport{
		Base: &transport.Transport{
			Signer: sign,
			Base:   &restarting{500, 503, 200}, // leave this out: it stands in for the network
		},
		Max:     4,
		WaitMin: time.Millisecond,
		Check:   retryablehttp.DefaultRetryPolicy,
	}}
	resp, err := client.Get("https://api.example.com/")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	fmt.Println(transport.History(resp))
	// Output:
	// [500 503 200]
}

// A program can have its own policy, which leaves most decisions to an existing policy.
func ExampleTransport_check() {
	client := &http.Client{Transport: &retry.Transport{
		Base: &restarting{425, 0}, // leave this out: it stands in for the network
		Check: func(ctx context.Context, resp *http.Response, err error) (bool, error) {
			if errors.Is(err, io.EOF) {
				return false, errors.New("the service has gone")
			}
			if err == nil && resp.StatusCode == http.StatusTooEarly {
				return true, nil
			}
			return retryablehttp.DefaultRetryPolicy(ctx, resp, err)
		},
		WaitMin: time.Millisecond,
	}}
	_, err := client.Get("https://api.example.com/") //nolint:bodyclose // there is no answer
	fmt.Println(err)
	// Output:
	// Get "https://api.example.com/": the service has gone
}
