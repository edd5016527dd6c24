package schemetest_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/authtest/schemetest"
	"github.com/countersign-go/countersign/basic"
	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/mac"
	"github.com/countersign-go/countersign/portal"
	"github.com/countersign-go/countersign/transport"
)

const secret = "canary-5ec2e7"

// macPair is MAC with its body digest, which covers all there is.
func macPair() schemetest.Pair {
	return schemetest.Pair{
		New: func(*testing.T) (transport.Signer, auth.Authenticator) {
			signer := &mac.Signer{
				Source:     &mac.Credentials{ID: "alice", Key: creds.Secret(secret)},
				BodyDigest: true,
			}
			keys := func(_ context.Context, id string) (*mac.Key, error) {
				if id != "alice" {
					return nil, mac.ErrUnknownID
				}
				return &mac.Key{Secret: creds.Secret(secret)}, nil
			}
			return signer, &mac.Verifier{Keys: keys, BodyDigest: true}
		},
		Covers: schemetest.CoverMethod | schemetest.CoverTarget | schemetest.CoverHost |
			schemetest.CoverBody,
		Secrets: []string{secret},
	}
}

func TestMAC(t *testing.T) { schemetest.Run(t, macPair()) }

func TestBasic(t *testing.T) {
	schemetest.Run(t, schemetest.Pair{
		New: func(*testing.T) (transport.Signer, auth.Authenticator) {
			return &basic.Signer{User: "alice", Password: creds.Secret(secret)},
				&basic.Verifier{Users: portal.Memory{"alice": creds.Secret(secret)}}
		},
		Fixed:   true,
		Secrets: []string{secret},
	})
}

// A faulty is a scheme with one mistake, by the name of the check that has to find it.
var faulty = map[string]func(p *schemetest.Pair){
	"accepts its own": wrap(nil,
		func(a auth.Authenticator, req *http.Request) (*auth.Identity, error) {
			if req.Method == "PATCH" {
				return nil, errors.New("no")
			}
			return a.Authenticate(req)
		}),
	"leaves other schemes alone": wrap(nil,
		func(a auth.Authenticator, req *http.Request) (*auth.Identity, error) {
			id, err := a.Authenticate(req)
			if errors.Is(err, auth.ErrNone) {
				err = errors.New("no")
			}
			return id, err
		}),
	"refuses each changed byte of what it set": wrap(
		func(s transport.Signer, req *http.Request, now time.Time) error {
			req.Header.Set("X-Unsigned", "text")
			return s.Sign(req, now)
		}, nil),
	"refuses each changed byte of what it covers": func(p *schemetest.Pair) {
		*p = macPair()
		build := p.New
		p.New = func(t *testing.T) (transport.Signer, auth.Authenticator) {
			s, a := build(t)
			a.(*mac.Verifier).BodyDigest = false
			return s, a
		}
	},
	"may be used concurrently": func(p *schemetest.Pair) {
		*p = macPair()
		build := p.New
		p.New = func(t *testing.T) (transport.Signer, auth.Authenticator) {
			s, a := build(t)
			var busy atomic.Bool
			return transport.SignerFunc(func(req *http.Request, now time.Time) error {
				if !busy.CompareAndSwap(false, true) {
					return errors.New("in use")
				}
				defer busy.Store(false)
				runtime.Gosched()
				return s.Sign(req, now)
			}), a
		}
	},
	"two requests never look alike": wrap(
		func(s transport.Signer, req *http.Request, now time.Time) error {
			req.Header.Set("Authorization", "Fixed for ever")
			return nil
		}, nil),
	"leaves the caller's request alone": wrap(
		func(s transport.Signer, req *http.Request, now time.Time) error {
			req.URL.Path += "/"
			return s.Sign(req, now)
		}, nil),
	"keeps its secrets": wrap(nil,
		func(a auth.Authenticator, req *http.Request) (*auth.Identity, error) {
			id, err := a.Authenticate(req)
			if err != nil {
				err = errors.Join(err, errors.New("the key is "+secret))
			}
			return id, err
		}),
}

type signFunc func(transport.Signer, *http.Request, time.Time) error

type authFunc func(auth.Authenticator, *http.Request) (*auth.Identity, error)

// wrap changes one direction of MAC; nil leaves it as it is.
func wrap(sign signFunc, authenticate authFunc) func(*schemetest.Pair) {
	return func(p *schemetest.Pair) {
		*p = macPair()
		build := p.New
		p.New = func(t *testing.T) (transport.Signer, auth.Authenticator) {
			s, a := build(t)
			if sign != nil {
				inner := s
				s = transport.SignerFunc(func(req *http.Request, now time.Time) error {
					return sign(inner, req, now)
				})
			}
			if authenticate != nil {
				a = wrapped{a, authenticate}
			}
			return s, a
		}
	}
}

type wrapped struct {
	inner auth.Authenticator
	f     authFunc
}

func (w wrapped) Authenticate(req *http.Request) (*auth.Identity, error) {
	return w.f(w.inner, req)
}

// TestFaulty is run by TestFindsFaults in a separate process.
func TestFaulty(t *testing.T) {
	if name := os.Getenv("SCHEMETEST_FAULTY"); name != "" {
		var p schemetest.Pair
		faulty[name](&p)
		schemetest.Run(t, p)
	}
}

// Each check finds the mistake that it is meant to find.
func TestFindsFaults(t *testing.T) {
	for name := range faulty {
		t.Run(name, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestFaulty$")
			cmd.Env = append(os.Environ(), "SCHEMETEST_FAULTY="+name)
			out, err := cmd.CombinedOutput()
			want := "--- FAIL: TestFaulty/" + strings.ReplaceAll(name, " ", "_") + " "
			if err == nil || !strings.Contains(string(out), want) {
				t.Errorf("not found: %v", err)
			}
		})
	}
}
