package mac_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/mac"
)

// TestRedaction_K6_S6 prints all types that hold a key, after use and in all ways, and searches the
// output for the key.
func TestRedaction_K6_S6(t *testing.T) {
	const planted = "canary-7f3a9c-key"
	c := &mac.Credentials{ID: "canary-id", Key: []byte(planted)}
	key := &mac.Key{Secret: []byte(planted), Identity: auth.Identity{Subject: "ann"}}
	keys := func(context.Context, string) (*mac.Key, error) { return key, nil }
	memory := new(auth.NonceMemory)
	verifier := &mac.Verifier{Keys: keys}
	shared := &mac.Verifier{Keys: keys, Nonces: memory}
	signers := []*mac.Signer{{Source: c}, {Source: creds.Static[*mac.Credentials]{Value: c}}}
	var out bytes.Buffer
	for _, s := range signers {
		req := newRequest(t, "GET", "http://example.com/")
		if err := s.Sign(req, testTime); err != nil {
			t.Fatal(err)
		}
		for _, v := range []*mac.Verifier{verifier, shared} {
			id, err := v.AuthenticateAt(received(req), testTime)
			fmt.Fprintln(&out, req.Header, id, err)
			wrong := received(req)
			wrong.RequestURI = "/other"
			_, err = v.AuthenticateAt(wrong, testTime)
			fmt.Fprintln(&out, err, challenge(v, err))
			if strings.Contains(challenge(v, err), "canary-id") {
				t.Errorf("S6: the answer names the id: %s", challenge(v, err))
			}
		}
	}
	handlers := []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)}
	for _, value := range []any{c, *c, key, *key, memory, verifier, signers[0], signers[1], signers,
		struct{ C *mac.Credentials }{c}, struct{ K *mac.Key }{key},
		map[string]any{"k": key, "c": c}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
			fmt.Fprintf(&out, verb+"\n", value)
		}
		if text, err := json.Marshal(value); err == nil {
			out.Write(text)
		}
		for _, h := range handlers {
			slog.New(h).Info("value", "value", value)
		}
	}
	if leaks := printed(out.String(), planted); leaks != nil {
		t.Errorf("the key is printed as %v", leaks)
	}
	var control bytes.Buffer
	raw := []byte(planted)
	fmt.Fprintf(&control, "%s %x %X %v %#v ", raw, raw, raw, raw, raw)
	if err := json.NewEncoder(&control).Encode(raw); err != nil {
		t.Fatal(err)
	}
	if leaks := printed(control.String(), planted); len(leaks) != 6 {
		t.Errorf("of 6 planted leaks, found %v", leaks)
	}
}

// printed returns the forms in which text holds key.
func printed(text, key string) (found []string) {
	raw := []byte(key)
	for name, form := range map[string]string{
		"text":    key,
		"hex":     hex.EncodeToString(raw),
		"HEX":     strings.ToUpper(hex.EncodeToString(raw)),
		"base64":  base64.RawStdEncoding.EncodeToString(raw),
		"numbers": strings.Trim(fmt.Sprint(raw), "[]"),
		"go":      strings.Trim(strings.TrimPrefix(fmt.Sprintf("%#v", raw), "[]byte"), "{}"),
	} {
		if strings.Contains(text, form) {
			found = append(found, name)
		}
	}
	return found
}
