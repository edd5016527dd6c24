package mac_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/countersign-go/countersign/mac"
	"github.com/countersign-go/countersign/transport"
)

// TestDjangoVectors tests the client's side of auth_mac. A Signer that is given the server's port
// must sign the text that the server signs, and must understand its refusals. Rows without
// client_signs are headers that the server refuses for their form, so only the refusal counts.
func TestDjangoVectors(t *testing.T) {
	var file struct {
		Count   int
		Vectors []djangoVector
	}
	load(t, "auth_mac.json", &file)
	refused := loadRefusals(t, "auth_mac.json")
	signed, read := 0, 0
	for _, v := range file.Vectors {
		t.Run(v.Name, func(t *testing.T) {
			refused.t = t
			if v.ClientSigns != nil {
				signed++
				refused.check(v.Name, v.sign(t))
			}
			if v.Challenge != nil {
				read++
				v.read(t)
			}
			if v.ClientSigns == nil && v.Challenge == nil {
				t.Error("nothing was checked")
			}
		})
	}
	if len(file.Vectors) != file.Count || signed != 44 || read != 29 {
		t.Errorf("ran %d of %d rows: signed %d, read %d",
			len(file.Vectors), file.Count, signed, read)
	}
}

type djangoVector struct {
	Name, Method string
	Target       string  `json:"request_target"`
	Host         *string `json:"host_header"`
	Port         string  `json:"server_port"`
	ID, Key      string
	ClientSigns  *struct{ Ext string } `json:"client_signs"`
	ServerString string                `json:"server_base_string"`
	ClientString string                `json:"client_base_string"`
	Challenge    *string               `json:"www_authenticate"`
}

func (v *djangoVector) sign(t *testing.T) error {
	req := &http.Request{Method: v.Method}
	if v.Host != nil {
		req = newRequest(t, v.Method, "http://"+*v.Host+v.Target)
	}
	s := &mac.Signer{
		Source:  &mac.Credentials{ID: v.ID, Key: []byte(v.Key), Algorithm: mac.SHA1},
		Dialect: mac.Django,
		Port:    v.Port,
	}
	if v.ClientSigns.Ext != "" {
		s.Ext = fixed(v.ClientSigns.Ext)
	}
	if err := s.Sign(req, time.Unix(1336363200, 0)); err != nil {
		if !errors.Is(err, mac.ErrUnsignable) {
			t.Errorf("%v, want ErrUnsignable", err)
		}
		return err
	}
	p := params(t, req.Header.Get("Authorization"))
	if len(p["nonce"]) > 16 {
		t.Errorf("the nonce %q does not fit the server's column", p["nonce"])
	}
	text := v.ServerString
	if text == "" {
		text = v.ClientString // the server failed before it signed
	}
	lines := strings.SplitN(text, "\n", 3)
	text = p["ts"] + "\n" + p["nonce"] + "\n" + lines[2]
	if p["mac"] != expected(mac.SHA1, v.Key, text) {
		t.Errorf("not the MAC of %q", text)
	}
	if v.Port == "80" {
		got, err := mac.BaseString(req, mac.Django, p["ts"], p["nonce"], "")
		if err != nil || got != text {
			t.Errorf("BaseString\n got %q, %v\nwant %q", got, err, text)
		}
	}
	return nil
}

func (v *djangoVector) read(t *testing.T) {
	want := transport.CauseUnknown
	switch *v.Challenge {
	case `MAC error="Duplicate nonce"`:
		want = transport.CauseNonce
	case `MAC error="MAC credentials expired"`:
		want = transport.CauseCredential
	}
	resp := &http.Response{Header: http.Header{"Www-Authenticate": {*v.Challenge}}}
	if got := new(mac.Signer).Read(resp); got.Cause != want || !got.ServerTime.IsZero() {
		t.Errorf("%s is read as %+v", *v.Challenge, got)
	}
}
