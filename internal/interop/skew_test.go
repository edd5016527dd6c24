package interop

import (
	"net/http"
	"testing"
	"time"

	"github.com/countersign-go/countersign/mac"
	"github.com/countersign-go/countersign/transport"
)

// The server remembers how far off the first timestamp of an id was. From then on, every timestamp
// of that id must be off by as much. So a client whose clock is corrected is refused, by a
// challenge without the reason, although its time now agrees with the Date of the same answer. Only
// a new id helps.
func TestLearnedSkew_R14(t *testing.T) {
	for algorithm, s := range startServices(t) {
		for _, offset := range []time.Duration{-time.Hour, time.Hour} {
			t.Run(string(algorithm)+"/"+offset.String(), func(t *testing.T) {
				source, calls := s.source()
				clock := new(transport.Clock)
				client := s.client(source, clock)
				target := s.url.String() + "/a"

				clock.Set(s.url, offset)
				resp := get(t, client, target)
				wantStatus(t, resp, http.StatusOK)
				if h := transport.History(resp); h != nil {
					t.Errorf("the first request was refused: %v", h)
				}
				wantCalls(t, calls, 1)

				clock.Set(s.url, 0)
				resp = get(t, client, target)
				wantStatus(t, resp, http.StatusOK)
				h := transport.History(resp)
				if len(h) != 2 || h[0].Status != http.StatusUnauthorized || h[0].Offset != 0 {
					t.Errorf("history %v, want one refusal with the right clock and one success", h)
				}
				wantCalls(t, calls, 2)

				resp = get(t, client, target)
				wantStatus(t, resp, http.StatusOK)
				if h := transport.History(resp); h != nil {
					t.Errorf("the request after the recovery was refused: %v", h)
				}
				wantCalls(t, calls, 2)
				if now := clock.Now(s.url); time.Since(now).Abs() > time.Second {
					t.Errorf("the clock was moved: it says %v", now)
				}
			})
		}
	}
}

// Two clients share an id, and the first one has a slow clock. The skew that the server learned
// from it makes the server refuse the second client, which then fetches a new id.
func TestLearnedSkewOfAnother_R14(t *testing.T) {
	s := startServices(t)[mac.SHA1]
	source, calls := s.source()
	shared, err := source.Credentials(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	slow := new(transport.Clock)
	slow.Set(s.url, -time.Hour)
	target := s.url.String() + "/a"
	wantStatus(t, get(t, s.client(shared, slow), target), http.StatusOK)
	wantStatus(t, get(t, s.client(source, nil), target), http.StatusOK)
	wantCalls(t, calls, 2)
}

// A client with a slow clock works, since the server has learned its skew. Then its id ends. The
// refusal shows that the clock is wrong, but the old id is refused with the right time, too: the
// client needs both a new clock offset and a new id.
func TestLearnedSkewAndLostID_R14(t *testing.T) {
	for algorithm, s := range startServices(t) {
		t.Run(string(algorithm), func(t *testing.T) {
			source, calls := s.source()
			clock := new(transport.Clock)
			clock.Set(s.url, -time.Hour)
			client := s.client(source, clock)
			target := s.url.String() + "/a"
			wantStatus(t, get(t, client, target), http.StatusOK)
			s.rotate(t)
			resp := get(t, client, target)
			wantStatus(t, resp, http.StatusOK)
			h := transport.History(resp)
			if len(h) != 3 || h[1].Status != http.StatusUnauthorized {
				t.Fatalf("history %v, want a refusal, one with the right clock, and a success", h)
			}
			if off := h[2].Offset.Abs(); off > 5*time.Second {
				t.Errorf("the new id was used with the clock off by %v", off)
			}
			wantCalls(t, calls, 2)
			resp = get(t, client, target)
			wantStatus(t, resp, http.StatusOK)
			if h := transport.History(resp); h != nil {
				t.Errorf("the request after the recovery was refused: %v", h)
			}
		})
	}
}
