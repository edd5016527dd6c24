package creds_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/gob"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-go/countersign/creds"
)

const keyText = "canary-k3yw1thentr0py"

// traces returns the forms in which a printed key can appear in output, in any encoding.
func traces() []string {
	key := []byte(keyText)
	found := []string{keyText, base64.StdEncoding.EncodeToString(key)[:20]}
	h := hex.EncodeToString(key)
	found = append(found, h, strings.ToUpper(h))
	for verb := range strings.FieldsSeq("%d %x %X %o %b %#x %#v %+d %c %q %U") {
		for _, blank := range []string{" ", ", "} {
			found = append(found, fmt.Sprintf(verb, key[0])+blank+fmt.Sprintf(verb, key[1]))
		}
	}
	return append(found, fmt.Sprintf("% x", key), fmt.Sprintf("% X", key), fmt.Sprintf("%# x", key))
}

func leak(output string) string {
	for _, trace := range traces() {
		if strings.Contains(output, trace) {
			return trace
		}
	}
	return ""
}

type holder[S any] struct {
	Name string
	Key  S
}

// containers returns values of the kinds that may contain a key.
func containers[S any](key S) map[string]any {
	inner := holder[S]{"n", key}
	return map[string]any{
		"itself":           key,
		"pointer":          &key,
		"struct":           inner,
		"pointer to it":    &inner,
		"nested":           holder[holder[S]]{"o", inner},
		"slice":            []S{key},
		"slice of structs": []holder[S]{inner},
		"array":            [2]S{key, key},
		"map":              map[string]S{"k": key},
		"interface":        []any{key, inner},
		"static source":    creds.Static[S]{Value: key},
		"embedded":         struct{ Inner holder[S] }{inner},
	}
}

// formats returns every verb with every flag that could matter. It omits %w and %p: package fmt
// handles these for a wrong type without calling the type's methods, and go vet reports them.
func formats() []string {
	var fs []string
	for _, flags := range []string{"", "+", "#", " ", "0", "-", "+#", "# ", "30", "-30.3", ".99"} {
		for verb := 'A'; verb <= 'z'; verb++ {
			if (verb <= 'Z' || verb >= 'a') && verb != 'w' && verb != 'p' {
				fs = append(fs, "%"+flags+string(verb))
			}
		}
	}
	return fs
}

func TestSecretVerbs_K6(t *testing.T) {
	for name, v := range containers(creds.Secret(keyText)) {
		for _, format := range formats() {
			out := fmt.Sprintf(format, v)
			if trace := leak(out); trace != "" {
				t.Errorf("%s of %s shows %q: %s", format, name, trace, out)
			}
			if !strings.HasSuffix(format, "T") && !strings.Contains(out, "[redacted]") {
				t.Errorf("%s of %s does not say that something was left out: %s", format, name, out)
			}
		}
		for _, out := range []string{
			fmt.Sprint(v), fmt.Sprintln(v), fmt.Errorf("x: %v", v).Error(), fmt.Sprintf("%p", &v),
			fmt.Sprintf(name, v), // one value too many
		} {
			if trace := leak(out); trace != "" {
				t.Errorf("printing %s shows %q: %s", name, trace, out)
			}
		}
	}
}

// The test above can fail: it finds plain bytes in the same containers, under each common verb.
func TestLeakIsFound_K6(t *testing.T) {
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "% x", "%d", "%o"} {
		for name, v := range containers([]byte(keyText)) {
			out := fmt.Sprintf(format, v)
			if leak(out) == "" {
				t.Errorf("%s of %s leaks unnoticed: %s", format, name, out)
			}
		}
	}
}

func TestSecretEncodings_K6(t *testing.T) {
	for name, v := range containers(creds.Secret(keyText)) {
		var logged bytes.Buffer
		for _, h := range []slog.Handler{
			slog.NewTextHandler(&logged, nil), slog.NewJSONHandler(&logged, nil),
		} {
			log := slog.New(h).With("with", v)
			log.Info("m", "v", v, slog.Group("g", "v", v))
		}
		js, err := json.Marshal(v)
		if err != nil {
			t.Errorf("JSON of %s: %v", name, err)
		}
		var page strings.Builder
		tmpl := template.Must(template.New("").Parse(`<b>{{.}}</b><script>f({{.}})</script>`))
		if err := tmpl.Execute(&page, v); err != nil {
			t.Errorf("template of %s: %v", name, err)
		}
		xm, _ := xml.Marshal(v) // maps cause an error
		var gobbed bytes.Buffer
		if err := gob.NewEncoder(&gobbed).Encode(v); err == nil {
			t.Errorf("gob of %s is no error", name)
		}
		for what, out := range map[string]string{
			"slog": logged.String(), "JSON": string(js), "html/template": page.String(),
			"XML": string(xm), "gob": gobbed.String(),
		} {
			if trace := leak(out); trace != "" {
				t.Errorf("%s of %s shows %q: %s", what, name, trace, out)
			}
			if what != "XML" && what != "gob" && !strings.Contains(out, "[redacted]") {
				t.Errorf("%s of %s does not say that something was left out: %s", what, name, out)
			}
		}
	}
}

// A handler that does not ask for text also gets text.
func TestSecretLogValue_K6(t *testing.T) {
	v := slog.AnyValue(creds.Secret(keyText)).Resolve()
	if v.Kind() != slog.KindString || v.String() != "[redacted]" {
		t.Errorf("a handler sees %v of kind %v, want the string [redacted]", v, v.Kind())
	}
}

// The runtime prints a panic by calling String, and does not use Format.
func TestSecretPanics_K6(t *testing.T) {
	var v any = creds.Secret(keyText)
	if s, ok := v.(fmt.Stringer); !ok || s.String() != "[redacted]" {
		t.Errorf("the text of a secret is not [redacted]")
	}
}

func TestSecretText(t *testing.T) {
	var config struct{ Key creds.Secret }
	if err := json.Unmarshal([]byte(`{"Key":"aGVsbG8="}`), &config); err != nil {
		t.Fatal(err)
	}
	if string(config.Key) != "aGVsbG8=" {
		t.Errorf("read %q: text is to be taken as it is", []byte(config.Key))
	}
	written, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(written, &config); err == nil {
		t.Error("a redacted secret was read back as a key")
	}
	if string(config.Key) != "aGVsbG8=" {
		t.Errorf("a failed read changed the key to %q", []byte(config.Key))
	}

	text := []byte(keyText)
	var s creds.Secret
	if err := s.UnmarshalText(text); err != nil {
		t.Fatal(err)
	}
	clear(text)
	if string(s) != keyText {
		t.Errorf("the secret shares memory with the text it was read from")
	}
}

// Neither a Cache nor its errors print a key.
func TestCachePrints_K6(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		give := holder[creds.Secret]{"n", creds.Secret(keyText)}
		c := &creds.Cache[holder[creds.Secret]]{
			Fetch: func(context.Context) (holder[creds.Secret], error) { return give, nil },
			ID:    func(h holder[creds.Secret]) string { return string(h.Key) },
			Expires: func(holder[creds.Secret]) time.Time {
				return time.Date(2000, 1, 1, 1, 0, 0, 0, time.UTC)
			},
		}
		show := func(what string, v any) {
			synctest.Wait() // a Cache must not change while it is printed
			for _, format := range formats() {
				if trace := leak(fmt.Sprintf(format, v)); trace != "" {
					t.Errorf("%s of the %s shows %q", format, what, trace)
				}
			}
		}
		ask := func() error {
			_, err := c.Credentials(t.Context())
			return err
		}
		if err := ask(); err != nil {
			t.Fatal(err)
		}
		show("cache with credentials", c)
		c.Reject(func(holder[creds.Secret]) bool { return true }, nil)
		if err := ask(); err != nil {
			t.Fatal(err)
		}
		show("cache with suspect credentials", c)
		time.Sleep(time.Hour)
		err := ask()
		if !errors.Is(err, creds.ErrExpired) {
			t.Fatalf("got %v, want %v", err, creds.ErrExpired)
		}
		show("cache with a failure", c)
		show("failure", err)
	})
}
