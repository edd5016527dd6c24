package retry_test

import (
	"log/slog"
	"net/http"

	"github.com/countersign-go/countersign/internal/testkit"
	"github.com/countersign-go/countersign/retry"
	"github.com/countersign-go/countersign/transport"
)

const origin = "https://api.example.com"

type (
	stage        = testkit.Stage
	reply        = testkit.Reply
	roundTripper = testkit.RoundTripper
)

var (
	statuses = testkit.Statuses
	do       = testkit.Do
	request  = testkit.Request
)

// A config says how the requests of a client are signed and repeated.
type config struct {
	Signer  transport.Signer
	Base    http.RoundTripper
	Origins []string
	Refused func(*http.Response) bool
	Logger  *slog.Logger
	Retry   retry.Transport // without a Base
}

func newClient(c config) *http.Client {
	c.Retry.Base = &transport.Transport{
		Signer: c.Signer, Base: c.Base, Origins: c.Origins, Refused: c.Refused,
	}
	c.Retry.Logger = c.Logger
	return &http.Client{Transport: &c.Retry}
}

func clientOf(base http.RoundTripper, times int) *http.Client {
	return newClient(config{Signer: &refuser{}, Base: base, Retry: retry.Transport{Max: times}})
}
