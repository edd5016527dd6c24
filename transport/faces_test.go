package transport_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/countersign-go/countersign/transport"
)

// A plainWrapper wraps a Signer and has only the methods that it needs.
type plainWrapper struct{ inner transport.Signer }

func (w *plainWrapper) Sign(req *http.Request, now time.Time) error {
	return w.inner.Sign(req, now)
}

func (w *plainWrapper) Unwrap() transport.Signer { return w.inner }

// A full is a token that implements every optional interface. Status 403 refuses it too.
type full struct{ token }

func (*full) Refused(resp *http.Response) bool {
	return resp.StatusCode == 401 || resp.StatusCode == 403
}

// wrappings are ways to reach a Signer.
func wrappings(s transport.Signer) map[string]transport.Signer {
	choose := transport.Choose(func(*http.Request) (transport.Signer, error) { return s, nil })
	outer := func(s transport.Signer) transport.Signer {
		return transport.Choose(func(*http.Request) (transport.Signer, error) { return s, nil })
	}
	origins := transport.ByOrigin{"https://api.example": s}
	return map[string]transport.Signer{
		"alone":              s,
		"wrapped":            &plainWrapper{s},
		"wrapped twice":      &plainWrapper{&plainWrapper{s}},
		"chosen":             choose,
		"chosen, wrapped":    &plainWrapper{choose},
		"a chosen wrapper":   outer(&plainWrapper{s}),
		"chosen twice":       outer(&plainWrapper{choose}),
		"by origin":          origins,
		"by origin, wrapped": &plainWrapper{origins},
		"chosen by origin":   transport.ByOrigin{"https://api.example": &plainWrapper{choose}},
		"embedded":           struct{ transport.ByOrigin }{origins},
		"embedded choice":    struct{ transport.Choose }{choose},
	}
}

// No wrapper hides an optional interface of the Signer that it wraps.
func TestFacesBehindWrappers(t *testing.T) {
	for name := range wrappings(nil) {
		signer := &full{}
		valid := func(id string) bool { return id == "id1" }
		rt := &transport.Transport{Signer: wrappings(signer)[name], Base: base(
			func(req *http.Request) (*http.Response, error) {
				if id, _, _ := credentials(req); !valid(id) {
					return answer(403, "WWW-Authenticate", "Token credential")
				}
				return answer(200)
			})}
		resp, err := get(rt, "https://api.example/")
		if err != nil || resp.StatusCode != 200 {
			t.Errorf("%s: %v, %v", name, resp, err)
			continue
		}
		h := transport.History(resp)
		if len(h) != 2 || h[0].Cause != transport.CauseCredential || signer.refreshes != 1 {
			t.Errorf("%s: %v, %d refreshes", name, h, signer.refreshes)
		}
		want := []transport.Outcome{transport.OutcomeRefused, transport.OutcomeMended}
		if !slices.Equal(signer.outcomes, want) {
			t.Errorf("%s: observed %v, want %v", name, signer.outcomes, want)
		}
	}
}

// If several Signers implement an interface, the outermost one is called.
func TestOutermostFace(t *testing.T) {
	inner := &token{}
	outer := &observing{plainWrapper: plainWrapper{inner}}
	rt := &transport.Transport{Signer: outer, Base: inTurn("Token credential")}
	resp, err := get(rt, "https://api.example/")
	if err != nil || inner.refreshes != 1 || outer.observed != 2 || len(inner.observed) != 0 {
		t.Errorf("%v, %v: %d refreshes, %d and %d observed", transport.History(resp), err,
			inner.refreshes, outer.observed, len(inner.observed))
	}
}

type observing struct {
	plainWrapper
	observed int
}

func (o *observing) Observe(*http.Response, transport.Outcome) error { o.observed++; return nil }

// A Signer that wraps itself does not cause an endless loop.
func TestWrappedInACircle(t *testing.T) {
	a := &circle{}
	a.inner = a
	resp, err := get(&transport.Transport{Signer: a, Base: inTurn("Token")}, "https://api.example/")
	if err != nil || resp.StatusCode != 401 {
		t.Errorf("%v, %v", resp, err)
	}
}

type circle struct{ inner transport.Signer }

func (*circle) Sign(*http.Request, time.Time) error { return nil }
func (c *circle) Unwrap() transport.Signer          { return c.inner }

type user struct{}

// Each request is signed for its user. Each answer goes to the Signer that signed the request, even
// if the Choose would pick another Signer by then.
func TestChoose(t *testing.T) {
	for _, wrapped := range []bool{false, true} {
		ann, bob := &token{}, &token{issued: 7}
		turn := 0
		var s transport.Signer = transport.Choose(
			func(req *http.Request) (transport.Signer, error) {
				turn++
				switch req.Context().Value(user{}) {
				case "ann":
					return ann, nil
				case "bob":
					return bob, nil
				case "in turn":
					return []transport.Signer{ann, bob}[turn%2], nil
				}
				return nil, errBroken
			})
		if wrapped {
			s = &plainWrapper{s}
		}
		var got []string
		rt := &transport.Transport{Signer: s, Base: base(
			func(req *http.Request) (*http.Response, error) {
				id, _, _ := credentials(req)
				got = append(got, id)
				if id == "id0" || id == "id7" {
					return answer(401, "WWW-Authenticate", "Token credential")
				}
				return answer(200)
			})}
		for _, name := range []string{"bob", "ann", "bob", "in turn", "in turn"} {
			ctx := context.WithValue(t.Context(), user{}, name)
			req, err := http.NewRequestWithContext(ctx, "GET", "https://api.example/", nil)
			if err != nil {
				t.Fatal(err)
			}
			if resp, err := rt.RoundTrip(req); err != nil || resp.StatusCode != 200 {
				t.Fatalf("%s: %v, %v", name, resp, err)
			}
		}
		// There are five calls. The first call of each user is refused once.
		if len(got) != 7 || ann.refreshes != 1 || bob.refreshes != 1 || turn != 7 {
			t.Errorf("sent %v, %d and %d refreshes, chosen %d times", got, ann.refreshes,
				bob.refreshes, turn)
		}
		if n := len(ann.observed) + len(bob.observed); n != 7 || len(ann.observed) < 2 {
			t.Errorf("%v and %v observed", ann.observed, bob.observed)
		}
		_, err := get(rt, "https://api.example/")
		if !errors.Is(err, errBroken) || len(got) != 7 {
			t.Errorf("without a user: %v, %d requests", err, len(got))
		}
	}
}

// An answer goes to the Signer that signed the request, also if the Choose picks another Signer
// each time.
func TestChooseRemembers(t *testing.T) {
	signers := []*token{{}, {}, {}, {}}
	n := -1
	choose := transport.Choose(func(*http.Request) (transport.Signer, error) {
		n++
		return signers[n], nil
	})
	rt := &transport.Transport{Signer: &plainWrapper{choose}, Base: inTurn("Token credential")}
	resp, err := get(rt, "https://api.example/")
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range signers {
		if want := min(1, max(0, 2-i)); len(s.observed) != want || len(s.signed) != want {
			t.Errorf("Signer %d signed %d and observed %d, want %d: %v", i, len(s.signed),
				len(s.observed), want, transport.History(resp))
		}
	}
}

// If a Choose picks no Signer, the call fails before anything is sent.
func TestChooseNothing(t *testing.T) {
	for _, s := range []transport.Signer{nil, (*token)(nil)} {
		choose := transport.Choose(func(*http.Request) (transport.Signer, error) { return s, nil })
		_, err := get(&transport.Transport{Signer: choose, Base: base(nil)}, "https://api.example/")
		if _, ok := errors.AsType[*transport.SignError](err); !ok {
			t.Errorf("%T: %v", s, err)
		}
	}
}

// If a ByOrigin is wrapped, the wrapper signs only for the origins in it, and Check reports its
// mistakes.
func TestWrappedByOrigin(t *testing.T) {
	signer := &token{}
	origins := transport.ByOrigin{"https://a.example": signer}
	wrapper := &counting{plainWrapper: plainWrapper{origins}}
	rt := &transport.Transport{Signer: wrapper, Base: base(
		func(*http.Request) (*http.Response, error) { return answer(200) })}
	for _, url := range []string{"https://a.example/", "https://b.example/"} {
		if _, err := get(rt, url); err != nil {
			t.Fatal(err)
		}
	}
	if wrapper.signed != 1 || len(signer.signed) != 1 {
		t.Errorf("signed %d and %d times, want 1", wrapper.signed, len(signer.signed))
	}
	bad := &transport.Transport{Signer: &plainWrapper{transport.ByOrigin{"a.example": signer}}}
	var config *transport.ConfigError
	if err := bad.Check(); !errors.As(err, &config) {
		t.Errorf("Check returned %v", err)
	}
	unfit := &transport.Transport{Signer: &plainWrapper{&unfit{}}}
	if err := unfit.Check(); err != errBroken {
		t.Errorf("Check returned %v, want that of the Signer within", err)
	}
}

type counting struct {
	plainWrapper
	signed int
}

func (c *counting) Sign(req *http.Request, now time.Time) error {
	c.signed++
	return c.plainWrapper.Sign(req, now)
}

type unfit struct{ token }

func (*unfit) Check() error { return errBroken }

// The Refused field of the Transport is used before the Refuser.
func TestRefuserOverridden(t *testing.T) {
	signer := &full{}
	rt := &transport.Transport{Signer: signer,
		Refused: func(resp *http.Response) bool { return resp.StatusCode == 418 },
		Base: base(func(req *http.Request) (*http.Response, error) {
			if id, _, _ := credentials(req); id == "id0" {
				return answer(418)
			}
			return answer(403)
		})}
	resp, err := get(rt, "https://api.example/")
	if err != nil || resp.StatusCode != 403 || signer.refreshes != 1 {
		t.Errorf("%v, %v", transport.History(resp), err)
	}
}

// A Reader may read the head of the body. The caller still gets the whole body, also if the request
// was not signed.
func TestHeadOfBody(t *testing.T) {
	const most = 4 << 10
	long := strings.Repeat("a", 10<<10)
	for name, test := range map[string]struct {
		body io.Reader
		head string
		all  string
	}{
		"short":      {strings.NewReader("asked"), "asked", "asked"},
		"empty":      {strings.NewReader(""), "", ""},
		"long":       {strings.NewReader(long), long[:most], long},
		"in parts":   {iotest.OneByteReader(strings.NewReader(long)), long[:most], long},
		"slow":       {&slow{parts: []string{"ab", "cd", "ef"}}, "ab", "abcdef"},
		"as an end":  {iotest.DataErrReader(strings.NewReader("asked")), "asked", "asked"},
		"just right": {strings.NewReader(long[:most]), long[:most], long[:most]},
	} {
		for _, origins := range [][]string{nil, {"https://b.example"}} {
			synctest.Test(t, func(t *testing.T) {
				body := test.body
				if s, ok := body.(*slow); ok {
					body = &slow{parts: s.parts}
				} else if s, ok := body.(io.Seeker); ok {
					_, _ = s.Seek(0, io.SeekStart)
				} else if origins != nil {
					return // it was read
				}
				var head []byte
				var readErr error
				signer := &reader{read: func(resp *http.Response) transport.Refusal {
					head, readErr = io.ReadAll(resp.Body)
					return transport.Refusal{}
				}}
				rt := &transport.Transport{Signer: signer, Origins: origins,
					Logger: slog.New(&journal{}),
					Base: base(func(*http.Request) (*http.Response, error) {
						resp, err := answer(401, "WWW-Authenticate", "Token")
						resp.Body = io.NopCloser(body)
						return resp, err
					})}
				began := time.Now()
				resp, err := get(rt, "https://api.example/")
				if err != nil {
					t.Fatal(err)
				}
				if time.Since(began) > time.Second {
					t.Errorf("%s: Read took %v", name, time.Since(began))
				}
				all, err := io.ReadAll(resp.Body)
				if err != nil || string(all) != test.all {
					t.Errorf("%s: the caller got %d bytes and %v", name, len(all), err)
				}
				if readErr != nil || string(head) != test.head {
					t.Errorf("%s: the Reader got %q and %v", name, head, readErr)
				}
			})
		}
	}
}

// A slow body returns a part every 700 ms.
type slow struct {
	parts []string
	sent  int
}

func (s *slow) Read(p []byte) (int, error) {
	if s.sent == len(s.parts) {
		return 0, io.EOF
	}
	time.Sleep(700 * time.Millisecond)
	s.sent++
	return copy(p, s.parts[s.sent-1]), nil
}

// If a body fails within its head, the caller gets the same error, after the bytes that came before
// it.
func TestHeadOfBrokenBody(t *testing.T) {
	signer := &reader{read: func(resp *http.Response) transport.Refusal {
		_, _ = io.ReadAll(resp.Body)
		return transport.Refusal{}
	}}
	closed := make(chan bool, 1)
	rt := &transport.Transport{Signer: signer, Base: base(
		func(*http.Request) (*http.Response, error) {
			resp, err := answer(401)
			resp.Body = closing{io.MultiReader(strings.NewReader("part"),
				iotest.ErrReader(errBroken)), closed}
			return resp, err
		})}
	resp, err := get(rt, "https://api.example/")
	if err != nil {
		t.Fatal(err)
	}
	if all, err := io.ReadAll(resp.Body); string(all) != "part" || !errors.Is(err, errBroken) {
		t.Errorf("the caller got %q and %v", all, err)
	}
	if err := resp.Body.Close(); err != nil || len(closed) != 1 {
		t.Errorf("Close: %v, closed %d times", err, len(closed))
	}
}
