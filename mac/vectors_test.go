package mac_test

import (
	"crypto/hmac"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/mac"
)

// A vector is one request of testdata/mac.json.
type vector struct {
	Name, Method, Scheme, URL string
	Target                    string `json:"request_target"`
	Host                      string `json:"host_header"`
	TS, Nonce, Ext            string
	ID, Key, Hash             string
	Via                       string
	BaseString                string `json:"normalized_request_string"`
	MAC                       string
	Header                    string `json:"authorization_header"`
	PeerAccepts               bool   `json:"peer_accepts"`
	DraftString               string `json:"draft_normalized_request_string"`
	DraftMAC                  string `json:"draft_mac"`
	PeerAcceptsDraft          bool   `json:"peer_accepts_draft_mac"`
	GoSends                   bool   `json:"go_sends"`
	PeerRejects               string `json:"peer_rejects"`

	ServerAccepts bool   `json:"real_server_accepts"` // client_requests only
	Signed        string `json:"signed_normalized_request_string"`
}

type macFile struct {
	Count          int
	Vectors        []vector
	Rejects        []vector
	ClientRequests []vector `json:"client_requests"`
}

func (v *vector) credentials() *mac.Credentials {
	return &mac.Credentials{ID: v.ID, Key: []byte(v.Key), Algorithm: algorithm(v.Hash)}
}

// A reading is one dialect's view of a vector.
type reading struct {
	dialect      mac.Dialect
	text, mac    string
	peerAccepts  bool
	peerDisputes bool // the other dialect reads another text
}

func (v *vector) readings() []reading {
	webob := reading{mac.WebOb, v.BaseString, v.MAC, v.PeerAccepts, v.DraftString != ""}
	draft := reading{mac.Draft01, v.BaseString, v.MAC, v.PeerAccepts, v.DraftString != ""}
	if v.DraftString != "" {
		draft.text, draft.mac, draft.peerAccepts = v.DraftString, v.DraftMAC, v.PeerAcceptsDraft
	}
	return []reading{webob, draft}
}

// clientRequest returns the request that makes net/http send the vector.
func (v *vector) clientRequest(t *testing.T) *http.Request {
	req := newRequest(t, v.Method, v.URL)
	if req.URL.Host != v.Host {
		req.Host = v.Host
	}
	return req
}

func (v *vector) wire(t *testing.T, header string) *http.Request {
	return fromWire(t, v.Method, v.Scheme, v.Target, v.Host, header)
}

func (v *vector) time() time.Time {
	seconds, err := strconv.ParseInt(v.TS, 10, 64)
	if err != nil {
		panic(err)
	}
	return time.Unix(seconds, 0)
}

func TestVectors(t *testing.T) {
	var file macFile
	load(t, "mac.json", &file)
	refused := loadRefusals(t, "mac.json vectors")
	rows := 0
	for _, v := range file.Vectors {
		rows++
		t.Run(v.Name, func(t *testing.T) {
			refused.t = t
			for _, r := range v.readings() {
				v.sign(t, r)
				refused.check(v.Name, v.verify(t, r))
			}
		})
	}
	if rows != file.Count {
		t.Errorf("ran %d of %d vectors", rows, file.Count)
	}
}

// sign checks the texts that we sign, on both sides of the wire.
func (v *vector) sign(t *testing.T, r reading) {
	requests := map[string]*http.Request{"received": v.wire(t, "")}
	if v.GoSends || v.Name == "host_override" {
		requests["sent"] = v.clientRequest(t)
	}
	for where, req := range requests {
		text, err := mac.BaseString(req, r.dialect, v.TS, v.Nonce, v.Ext)
		switch {
		case v.Name == "target_raw_utf8_path_other_server":
			if !errors.Is(err, mac.ErrUnsignable) {
				t.Errorf("%s: %v, want ErrUnsignable", where, err)
			}
		case err != nil:
			t.Errorf("%s: %v", where, err)
		case text != r.text:
			t.Errorf("%s, dialect %d:\n got %q\nwant %q", where, r.dialect, text, r.text)
		case expected(algorithm(v.Hash), v.Key, text) != r.mac:
			t.Errorf("%s: the MAC differs", where)
		}
	}
}

// verify passes the header of the vector to a Verifier. If the other dialect reads another text, it
// checks that a Verifier of that dialect refuses the header.
func (v *vector) verify(t *testing.T, r reading) error {
	header := strings.Replace(v.Header, v.MAC, r.mac, 1)
	verifier := &mac.Verifier{Keys: oneKey(v.credentials()), Dialect: r.dialect}
	id, err := verifier.AuthenticateAt(v.wire(t, header), v.time())
	if err == nil && id.Subject != v.ID {
		t.Errorf("subject %q", id.Subject)
	}
	if r.peerDisputes {
		other := &mac.Verifier{Keys: oneKey(v.credentials()), Dialect: mac.WebOb - r.dialect}
		if _, err := other.AuthenticateAt(v.wire(t, header), v.time()); err == nil {
			t.Errorf("dialect %d accepts the MAC of dialect %d", mac.WebOb-r.dialect, r.dialect)
		}
	}
	return err
}

// TestVectorsSigner signs each vector with a Signer, which chooses its own ts and nonce.
func TestVectorsSigner(t *testing.T) {
	var file macFile
	load(t, "mac.json", &file)
	rows := 0
	for _, v := range file.Vectors {
		if !v.GoSends {
			continue
		}
		rows++
		t.Run(v.Name, func(t *testing.T) {
			for _, r := range v.readings() {
				req := v.clientRequest(t)
				s := &mac.Signer{Source: v.credentials(), Dialect: r.dialect}
				if v.Ext != "" {
					s.Ext = fixed(v.Ext)
				}
				if err := s.Sign(req, v.time()); err != nil {
					t.Fatal(err)
				}
				p := params(t, req.Header.Get("Authorization"))
				_, rest, _ := strings.Cut(r.text, "\n"+v.Nonce+"\n")
				if r.dialect == mac.WebOb && strings.HasSuffix(v.Host, "]") {
					// The address has no port, so the Signer has made the port explicit.
					host, port, _ := strings.Cut(req.Host, "]:")
					target, _, _ := strings.Cut(rest, "[")
					rest = target + host + "]\n" + port + "\n\n"
				}
				text := v.TS + "\n" + p["nonce"] + "\n" + rest
				if want := expected(algorithm(v.Hash), v.Key, text); p["mac"] != want {
					t.Errorf("dialect %d: not the MAC of %q", r.dialect, text)
				}
				if p["ts"] != v.TS || p["id"] != v.ID || p["ext"] != v.Ext {
					t.Errorf("header %v", p)
				}
			}
		})
	}
	if rows < 100 {
		t.Errorf("ran %d vectors only", rows)
	}
}

func TestRejects(t *testing.T) {
	var file macFile
	load(t, "mac.json", &file)
	for _, v := range file.Rejects {
		t.Run(v.Name, func(t *testing.T) {
			if v.Name == "reject_key_non_ascii" {
				s := &mac.Signer{Source: v.credentials(), Dialect: mac.WebOb}
				err := s.Sign(v.clientRequest(t), v.time())
				if !errors.Is(err, mac.ErrCredentials) {
					t.Errorf("%v, want ErrCredentials", err)
				}
				return
			}
			text, err := mac.BaseString(v.wire(t, ""), mac.WebOb, v.TS, v.Nonce, v.Ext)
			if err == nil {
				t.Errorf("received: %q", text)
			}
			if !v.GoSends {
				return
			}
			s := &mac.Signer{Source: v.credentials(), Dialect: mac.WebOb, Ext: fixed(v.Ext)}
			if err := s.Sign(v.clientRequest(t), v.time()); !errors.Is(err, mac.ErrUnsignable) {
				t.Errorf("%v, want ErrUnsignable", err)
			}
		})
	}
	if len(file.Rejects) != 9 {
		t.Errorf("%d rejects", len(file.Rejects))
	}
}

// TestClientRequests verifies the requests that the real Python client sent.
func TestClientRequests(t *testing.T) {
	var file macFile
	load(t, "mac.json", &file)
	for _, v := range file.ClientRequests {
		t.Run(v.Name, func(t *testing.T) {
			verifier := &mac.Verifier{Keys: oneKey(v.credentials()), Dialect: mac.WebOb}
			req := fromWire(t, v.Method, "http", v.Target, v.Host, v.Header)
			_, err := verifier.AuthenticateAt(req, v.time())
			if (err == nil) != v.ServerAccepts {
				t.Errorf("%v, but the real server accepts: %t", err, v.ServerAccepts)
			}
			if got := expected(algorithm(v.Hash), v.Key, v.Signed); got != v.MAC {
				t.Errorf("the vector does not agree with itself: %s", got)
			}
		})
	}
	if len(file.ClientRequests) != 23 {
		t.Errorf("%d requests", len(file.ClientRequests))
	}
}

func TestHeaderVectors(t *testing.T) {
	var file struct {
		Count int
		Cases []struct {
			Name    string
			Header  *string
			OK      bool
			Scheme  string
			Params  map[string]string
			GetID   *string  `json:"get_id"`
			Missing []string `json:"missing"`
			TS      *float64 `json:"ts_as_int"`
		}
	}
	load(t, "authz_header.json", &file)
	refused := loadRefusals(t, "authz_header.json")
	for _, c := range file.Cases {
		req := newRequest(t, "GET", "http://example.com/resource/1?b=1&a=2")
		if c.Header != nil {
			req.Header["Authorization"] = []string{latin1(*c.Header)}
		}
		v := &mac.Verifier{Keys: oneKey(&mac.Credentials{ID: "other"})}
		_, err := v.AuthenticateAt(received(req), time.Unix(1336363200, 0))
		fits := !errors.Is(err, mac.ErrMalformed) && !errors.Is(err, auth.ErrNone)

		peerFits := c.OK && c.GetID != nil && len(c.Missing) == 0 && c.TS != nil
		if peerFits && *c.GetID != "" {
			if fits {
				err = nil
			}
			refused.check(c.Name, err)
		} else if fits {
			t.Errorf("%s: what the peer refuses passes", c.Name)
		}
		if fits {
			if _, p, err := mac.Reprint(*c.Header); err != nil || !equal(p, c.Params) {
				t.Errorf("%s: read as %v, %v", c.Name, p, err)
			}
		}
	}
	if len(file.Cases) != file.Count {
		t.Errorf("ran %d of %d cases", len(file.Cases), file.Count)
	}
}

func equal(a, b map[string]string) bool {
	for k, v := range a {
		if b[k] != v {
			return false
		}
	}
	return len(a) == len(b)
}

func TestDraftExamples(t *testing.T) {
	var file struct {
		Count    int
		Examples []struct {
			Name, Document, Key, Hash string
			Text                      string `json:"signed_text"`
			MAC                       string `json:"computed_mac"`
		}
	}
	load(t, "draft_examples.json", &file)
	// These are headers in the format of each document, as a request would carry them.
	headers := map[string]string{
		"ietf00": `MAC id="h480djs93hd8", nonce="264095:dj83hs9s", mac="$"`,
		"rfc674": `MAC id="h480djs93hd8", nonce="274312:dj83hs9s", mac="$"`,
		"hammer": `MAC token="h480djs93hd8", timestamp="137131200", nonce="n", signature="$"`,
		"ietf03": `MAC kid="22BIjxU93h/IgwEb4zCRu5WF37s=", ts="1361471629", h="host", mac="$"`,
		"deploy": `MAC kid="22BIjxU93h/IgwEb4zCRu5WF37s=", ts="1431102122", h="digest", mac="$"`,
	}
	for _, e := range file.Examples {
		a := algorithm(e.Hash)
		if got := expected(a, e.Key, e.Text); got != e.MAC {
			t.Errorf("%s: %s, want %s", e.Name, got, e.MAC)
		}
		if got := mac.HMAC(a, []byte(e.Key), []byte(e.Text)); !hmac.Equal(got, decode(t, e.MAC)) {
			t.Errorf("%s: our HMAC is %x", e.Name, got)
		}
		if !strings.HasPrefix(e.Name, "ietf01") {
			req := newRequest(t, "GET", "http://example.com/resource/1")
			req.Header.Set("Authorization", strings.Replace(headers[e.Name[:6]], "$", e.MAC, 1))
			err := authenticate(newVerifier(), received(req))
			if !errors.Is(err, mac.ErrMalformed) {
				t.Errorf("%s: %v, want ErrMalformed", e.Name, err)
			}
			continue
		}
		line := strings.Split(e.Text, "\n")
		req := newRequest(t, line[2], "http://"+line[4]+line[3])
		if got, err := mac.BaseString(req, mac.Draft01, line[0], line[1], line[6]); got != e.Text {
			t.Errorf("%s: %q, %v", e.Name, got, err)
		}
	}
	if len(file.Examples) != file.Count {
		t.Errorf("ran %d of %d examples", len(file.Examples), file.Count)
	}
}
