package interop

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/countersign-go/countersign"
	"github.com/countersign-go/countersign/basic"
	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/mac"
	"github.com/countersign-go/countersign/transport"
)

func TestOurClientAgainstRealServer(t *testing.T) {
	services := startServices(t)
	for _, algorithm := range algorithms {
		s := services[algorithm]
		source, calls := s.source()
		client := s.client(source, nil)
		for _, shape := range slices.Concat(shapes, goShapes) {
			t.Run(string(algorithm)+"/"+shape.name, func(t *testing.T) {
				resp, body := do(t, client, shape.request(t, s.url.String()))
				wantStatus(t, resp, http.StatusOK)
				if h := transport.History(resp); h != nil {
					t.Errorf("the first attempt was refused: %v", h)
				}
				if got := resp.Header.Get("X-User"); got != user {
					t.Errorf("the server knows us as %q, want %q", got, user)
				}
				if got, _, _ := strings.Cut(resp.Header.Get("X-Seen"), " "); got != shape.verb() {
					t.Errorf("the server saw method %q, want %q", got, shape.verb())
				}
				if body != shape.answer() {
					t.Errorf("the server repeats %q, want %q", body, shape.answer())
				}
			})
		}
		wantCalls(t, calls, 1)
	}
}

func TestRealServerRefusesOurWrongKey(t *testing.T) {
	for algorithm, s := range startServices(t) {
		t.Run(string(algorithm), func(t *testing.T) {
			source, _ := s.source()
			good, err := source.Credentials(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			wrongKey, wrongID, wrongHash := *good, *good, *good
			wrongKey.Key = creds.Secret(changed(string(good.Key)))
			wrongID.ID = changed(good.ID)
			wrongHash.Algorithm = map[string]string{
				mac.SHA1: mac.SHA256, mac.SHA256: mac.SHA1}[algorithm]
			target := s.url.String() + "/a"
			wantStatus(t, get(t, s.client(&wrongKey, nil), target), http.StatusUnauthorized)
			wantStatus(t, get(t, s.client(&wrongID, nil), target), http.StatusUnauthorized)
			wantStatus(t, get(t, s.client(&wrongHash, nil), target), http.StatusUnauthorized)
			wantStatus(t, get(t, s.client(good, nil), target), http.StatusOK)
		})
	}
}

func TestRealServerRefusesOurWrongPassword(t *testing.T) {
	s := startServices(t)[mac.SHA1]
	source, calls := s.source()
	source.Signer = &basic.Signer{User: user, Password: creds.Secret("wrong")}
	resp, err := s.client(source, nil).Get(s.url.String() + "/a")
	if err == nil {
		resp.Body.Close()
		t.Fatal("a request went out without credentials")
	}
	if strings.Contains(err.Error(), "wrong") {
		t.Errorf("the error shows the password: %v", err)
	}
	wantCalls(t, calls, 1)
}

func TestRealServerRefusesOurReplay_R1(t *testing.T) {
	for algorithm, s := range startServices(t) {
		t.Run(string(algorithm), func(t *testing.T) {
			source, _ := s.source()
			wire := &counter{base: s.base}
			client := countersign.NewClient(countersign.Config{
				Signer: &mac.Signer{Source: source, Dialect: mac.WebOb}, Base: wire})
			wantStatus(t, get(t, client, s.url.String()+"/a"), http.StatusOK)
			again, _ := do(t, &http.Client{Transport: s.base}, wire.last.Load().Clone(t.Context()))
			wantStatus(t, again, http.StatusUnauthorized)
		})
	}
}

func TestBodyDigestAgainstRealServer(t *testing.T) {
	for algorithm, s := range startServices(t) {
		t.Run(string(algorithm), func(t *testing.T) {
			source, _ := s.source()
			wire := &counter{base: s.base}
			client := countersign.NewClient(countersign.Config{Base: wire,
				Signer: &mac.Signer{Source: source, Dialect: mac.WebOb, BodyDigest: true}})
			resp, err := client.Post(s.url.String()+"/a", "text/plain", strings.NewReader("a body"))
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			wantStatus(t, resp, http.StatusOK)
			sum := sha256.Sum256([]byte("a body"))
			want := `ext="sha-256=:` + base64.StdEncoding.EncodeToString(sum[:]) + `:"`
			if got := wire.last.Load().Header.Get("Authorization"); !strings.Contains(got, want) {
				t.Errorf("sent %q, want it to hold %q", got, want)
			}
		})
	}
}

// The server answers 401 also if it knows the user but does not let them in, with the same
// challenge as for every refusal. The client must then discard neither its credentials nor the
// clock offset that it has learned.
func TestForbiddenPageBreaksNoOther(t *testing.T) {
	s := startServices(t)[mac.SHA1]
	for _, offset := range []time.Duration{0, -time.Hour} {
		t.Run("clock off by "+offset.String(), func(t *testing.T) {
			source, calls := s.source()
			clock := new(transport.Clock)
			clock.Set(s.url, offset)
			client := s.client(source, clock)
			wantStatus(t, get(t, client, s.url.String()+"/a"), http.StatusOK)
			for range 20 {
				wantStatus(t, get(t, client, s.url.String()+"/forbidden"), http.StatusUnauthorized)
				wantStatus(t, get(t, client, s.url.String()+"/a"), http.StatusOK)
			}
			if n := calls.n.Load(); n > 4 {
				t.Errorf("%d provisioning calls for a page that no credentials open", n)
			}
		})
	}
}

// A server without a configured master secret forgets every id when it restarts.
func TestRealServerForgetsItsSecret(t *testing.T) {
	for algorithm, s := range startServices(t) {
		t.Run(string(algorithm), func(t *testing.T) {
			source, calls := s.source()
			client := s.client(source, nil)
			target := s.url.String() + "/a"
			wantStatus(t, get(t, client, target), http.StatusOK)
			s.rotate(t)
			for range 3 {
				wantStatus(t, get(t, client, target), http.StatusOK)
			}
			wantCalls(t, calls, 2)
		})
	}
}
