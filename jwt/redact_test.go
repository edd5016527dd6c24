package jwt_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/jwt"
)

// TestRedaction_K6 prints all types that hold a key, after use, in all ways, and looks for the key.
// It also looks for the token in errors and challenges.
func TestRedaction_K6(t *testing.T) {
	const planted = "canary-5d2e8b-secret-of-32-bytes"
	secret := &jwt.Key{Method: "HS256", Key: []byte(planted)}
	typed := &jwt.Key{Method: "HS256", Key: creds.Secret(planted)}
	private := &jwt.Key{Method: "ES256", Key: ecKey()}
	set := newIssuer("").keys()
	set.URL = keysURL + "?key=" + planted
	verifiers := []*jwt.Verifier{
		{Keys: secret}, {Keys: typed}, {Keys: private}, {Keys: set},
		{Keys: jwt.KeyMap{"a": secret}},
	}
	var out bytes.Buffer
	for _, v := range verifiers {
		// The token holds the secret too, since errors must not repeat the token either.
		for _, token := range []string{
			mint(t, secret, nil, claimsOf(planted, time.Hour)), planted, planted + ".a.b",
			mint(t, secret, nil, claimsOf(planted, -time.Hour)),
			mint(t, secret, nil, `{"`+planted+`":1,"`+planted+`":1}`),
			mint(t, secret, `{"alg":"`+planted+`"}`, `{}`),
			mint(t, secret, `{"alg":"HS256","typ":"`+planted+`"}`, `{}`),
		} {
			_, err := v.Verify(context.Background(), token)
			fmt.Fprintln(&out, err, challenge(v, err))
			_, err = v.Authenticate(&http.Request{
				Header: http.Header{"Authorization": {"Bearer " + token, token}}})
			fmt.Fprintln(&out, err)
		}
	}
	_, err := set.VerificationKey(context.Background(), "a")
	fmt.Fprintln(&out, err, set.Err())
	handlers := []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)}
	for _, value := range []any{
		secret, typed, private, verifiers, verifiers[0], *verifiers[4], jwt.KeyMap{"a": secret},
		struct{ K *jwt.Key }{secret}, map[string]any{"k": secret}, []any{set, secret},
	} {
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
	d := must(ecKey().Bytes())
	for _, secret := range []string{planted, string(d)} {
		if leaks := printed(out.String(), secret); leaks != nil {
			t.Errorf("a secret is printed as %v", leaks)
		}
	}
	if !strings.Contains(out.String(), `{Method:"HS256"}`) ||
		!strings.Contains(out.String(), `{URL:"`+keysURL+`"`) {
		t.Error("nothing was printed at all")
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

// TestRedactionByValue_K6 prints a struct that holds its keys by value.
func TestRedactionByValue_K6(t *testing.T) {
	const planted = "canary-77c0de-secret-of-32-bytes"
	held := &struct {
		Key    jwt.Key
		Signer jwt.Signer
	}{
		jwt.Key{Method: "HS256", Key: creds.Secret(planted)},
		jwt.Signer{Method: "HS256", Key: creds.Secret(planted)},
	}
	token := must(held.Signer.Token("ann", nil, 0))
	if err := verdict(&held.Key, token); err != nil {
		t.Fatal(err)
	}
	req := requestTo(t, siteURL)
	if err := held.Signer.Sign(req, time.Now()); err != nil {
		t.Fatal(err)
	}
	sent := strings.TrimPrefix(req.Header.Get("Authorization"), "Bearer ")
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		fmt.Fprintf(&out, verb+"\n", held)
	}
	slog.New(slog.NewTextHandler(&out, nil)).Info("value", "value", held)
	if leaks := printed(out.String(), planted); leaks != nil {
		t.Errorf("a secret is printed as %v", leaks)
	}
	if printed(out.String(), sent) != nil {
		t.Error("a token is printed")
	}
	if !strings.Contains(out.String(), "HS256") {
		t.Error("nothing was printed at all")
	}
}

// printed returns the forms in which text holds key.
func printed(text, key string) (found []string) {
	raw := []byte(key)
	for name, form := range map[string]string{
		"text":    key,
		"hex":     hex.EncodeToString(raw),
		"HEX":     strings.ToUpper(hex.EncodeToString(raw)),
		"base64":  strings.TrimRight(base64std.EncodeToString(raw), "="),
		"numbers": strings.Trim(fmt.Sprint(raw), "[]"),
		"go":      strings.Trim(strings.TrimPrefix(fmt.Sprintf("%#v", raw), "[]byte"), "{}"),
	} {
		if strings.Contains(text, form) {
			found = append(found, name)
		}
	}
	return found
}
