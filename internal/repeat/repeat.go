// Package repeat connects package retry with the Transport that signs each attempt. The two
// packages share no other state.
package repeat

import (
	"context"
	"net/http"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
)

// An Attempt is carried by the context of one attempt. By it, package retry passes the earlier
// attempts to the Transport, and learns how the Transport's Base failed.
type Attempt struct {
	// Before holds the earlier attempts, as a slice of the type transport.Attempt.
	Before any

	// Traced makes the Attempt find out whether a failed request was sent.
	Traced bool

	mu     sync.Mutex // guards the fields below
	takers int        // how many Transports, each the Base of another, have taken the Attempt
	failed bool       // the last request ended with an error
	unsent bool       // and no byte of it was sent
}

type key struct{}

// With returns a copy of ctx that carries a.
func With(ctx context.Context, a *Attempt) context.Context {
	return context.WithValue(ctx, key{}, a)
}

// Take returns the Attempt that ctx carries, or nil. It also returns a context without the Attempt,
// for the Signer, since the calls that a Signer makes are not a part of the attempt.
func Take(ctx context.Context) (*Attempt, context.Context) {
	a, _ := ctx.Value(key{}).(*Attempt)
	if a == nil {
		return nil, ctx
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.takers++
	return a, With(ctx, nil)
}

// Base returns a RoundTripper that sends by base and records in a how requests end. If a Transport
// inside base takes a too, only that Transport counts, since it is nearer to the network. If a is
// nil, Base returns base.
func (a *Attempt) Base(base http.RoundTripper) http.RoundTripper {
	if a == nil {
		return base
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return &watched{base, a, a.takers}
}

// watched records how the requests of an attempt end.
type watched struct {
	base    http.RoundTripper
	attempt *Attempt
	takers  int // the takers of the attempt when it was made
}

// Unwrap lets the Transport find out by which proxy requests are sent.
func (w *watched) Unwrap() http.RoundTripper { return w.base }

func (w *watched) RoundTrip(req *http.Request) (*http.Response, error) {
	a := w.attempt
	ctx := With(req.Context(), a)
	// An error of the TLS handshake looks like an error after the request was sent, but comes
	// before there is a connection.
	var wanted, got atomic.Bool
	if a.Traced {
		ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
			GetConn: func(string) { wanted.Store(true) },
			GotConn: func(httptrace.GotConnInfo) { got.Store(true) },
		})
	}
	sent := req.WithContext(ctx)
	resp, err := w.base.RoundTrip(sent)
	if resp != nil && resp.Request == sent {
		resp.Request = req
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.takers == w.takers {
		a.failed = err != nil
		a.unsent = err != nil && wanted.Load() && !got.Load()
	}
	return resp, err
}

// Failed reports whether the last request ended with an error of its Base. It also reports whether
// the error came before the request was sent, as far as a trace of net/http shows that.
func (a *Attempt) Failed() (failed, unsent bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.failed, a.unsent
}
