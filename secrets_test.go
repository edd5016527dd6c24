package countersign_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"net/http"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"github.com/countersign-go/countersign"
	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/authtest"
	"github.com/countersign-go/countersign/basic"
	"github.com/countersign-go/countersign/bearer"
	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/creds/file"
	"github.com/countersign-go/countersign/internal/testkit"
	"github.com/countersign-go/countersign/jwt"
	"github.com/countersign-go/countersign/jwt/pyramid"
	"github.com/countersign-go/countersign/mac"
	"github.com/countersign-go/countersign/portal"
	"github.com/countersign-go/countersign/provision"
	"github.com/countersign-go/countersign/provision/issue"
	"github.com/countersign-go/countersign/raven"
	"github.com/countersign-go/countersign/raven/wls"
	"github.com/countersign-go/countersign/retry"
	"github.com/countersign-go/countersign/transport"
)

// planted is the secret in every value below. No printed value may show it.
const planted = "canary-f1gure18-0123"

// exported lists every exported type that has fields or elements, and so may hold a secret. Each
// generic type is listed once, with one type argument. TestExportedIsComplete reports a type that
// is missing.
var exported = map[string]reflect.Type{
	"countersign.Config":    reflect.TypeFor[countersign.Config](),
	"retry.Transport":       reflect.TypeFor[retry.Transport](),
	"transport.Attempt":     reflect.TypeFor[transport.Attempt](),
	"transport.ByOrigin":    reflect.TypeFor[transport.ByOrigin](),
	"transport.Clock":       reflect.TypeFor[transport.Clock](),
	"transport.ConfigError": reflect.TypeFor[transport.ConfigError](),
	"transport.Refusal":     reflect.TypeFor[transport.Refusal](),
	"transport.SignError":   reflect.TypeFor[transport.SignError](),
	"transport.Transport":   reflect.TypeFor[transport.Transport](),
	"creds.Cache":           reflect.TypeFor[creds.Cache[*mac.Credentials]](),
	"creds.Secret":          reflect.TypeFor[creds.Secret](),
	"creds.SharedKey":       reflect.TypeFor[creds.SharedKey](),
	"creds.Static":          reflect.TypeFor[creds.Static[creds.Secret]](),
	"auth.All":              reflect.TypeFor[auth.All](),
	"file.Dir":              reflect.TypeFor[file.Dir](),
	"file.Secret":           reflect.TypeFor[file.Secret](),
	"auth.Guard":            reflect.TypeFor[auth.Guard](),
	"auth.Identity":         reflect.TypeFor[auth.Identity](),
	"auth.Limiter":          reflect.TypeFor[auth.Limiter](),
	"auth.NonceMemory":      reflect.TypeFor[auth.NonceMemory](),
	"auth.ScopeError":       reflect.TypeFor[auth.ScopeError](),
	"auth.Stack":            reflect.TypeFor[auth.Stack](),
	"mac.Explanation":       reflect.TypeFor[mac.Explanation](),
	"mac.Key":               reflect.TypeFor[mac.Key](),
	"mac.Signer":            reflect.TypeFor[mac.Signer](),
	"mac.Transition":        reflect.TypeFor[mac.Transition](),
	"mac.Tripwire":          reflect.TypeFor[mac.Tripwire](),
	"mac.Verifier":          reflect.TypeFor[mac.Verifier](),
	"basic.Signer":          reflect.TypeFor[basic.Signer](),
	"basic.Verifier":        reflect.TypeFor[basic.Verifier](),
	"pyramid.Cookie":        reflect.TypeFor[pyramid.Cookie](),
	"jwt.DenyList":          reflect.TypeFor[jwt.DenyList](),
	"bearer.Error":          reflect.TypeFor[bearer.Error](),
	"jwt.JWKS":              reflect.TypeFor[jwt.JWKS](),
	"jwt.Signer":            reflect.TypeFor[jwt.Signer](),
	"jwt.Key":               reflect.TypeFor[jwt.Key](),
	"jwt.KeyMap":            reflect.TypeFor[jwt.KeyMap](),
	"bearer.Login":          reflect.TypeFor[bearer.Login](),
	"jwt.Session":           reflect.TypeFor[jwt.Session](),
	"bearer.Signer":         reflect.TypeFor[bearer.Signer](),
	"bearer.Verifier":       reflect.TypeFor[bearer.Verifier](),
	"bearer.Tokens":         reflect.TypeFor[bearer.Tokens](),
	"jwt.Verifier":          reflect.TypeFor[jwt.Verifier](),
	"portal.AllowAnonymous": reflect.TypeFor[portal.AllowAnonymous](),
	"portal.Anonymous":      reflect.TypeFor[portal.Anonymous](),
	"portal.Bearer":         reflect.TypeFor[portal.Bearer](),
	"portal.Checkers":       reflect.TypeFor[portal.Checkers](),
	"portal.Command":        reflect.TypeFor[portal.Command](),
	"portal.File":           reflect.TypeFor[portal.File](),
	"portal.Flags":          reflect.TypeFor[portal.Flags](),
	"portal.Memory":         reflect.TypeFor[portal.Memory](),
	"portal.Password":       reflect.TypeFor[portal.Password](),
	"portal.Portal":         reflect.TypeFor[portal.Portal[string]](),
	"portal.Response":       reflect.TypeFor[portal.Response](),
	"portal.SQL":            reflect.TypeFor[portal.SQL](),
	"portal.Session":        reflect.TypeFor[portal.Session[string]](),
	"portal.Type":           reflect.TypeFor[portal.Type](),
	"provision.Client":      reflect.TypeFor[provision.Client](),
	"issue.Entry":           reflect.TypeFor[issue.Entry](),
	"provision.Error":       reflect.TypeFor[provision.Error](),
	"issue.Handler":         reflect.TypeFor[issue.Handler](),
	"issue.Issuer":          reflect.TypeFor[issue.Issuer](),
	"issue.Registry":        reflect.TypeFor[issue.Registry](),
	"issue.Terms":           reflect.TypeFor[issue.Terms](),
	"raven.Keys":            reflect.TypeFor[raven.Keys](),
	"raven.Limit":           reflect.TypeFor[raven.Limit](),
	"raven.Login":           reflect.TypeFor[raven.Login](),
	"raven.Request":         reflect.TypeFor[raven.Request](),
	"raven.Response":        reflect.TypeFor[raven.Response](),
	"raven.Service":         reflect.TypeFor[raven.Service](),
	"raven.Session":         reflect.TypeFor[raven.Session](),
	"raven.StatusError":     reflect.TypeFor[raven.StatusError](),
	"wls.Request":           reflect.TypeFor[wls.Request](),
	"wls.Server":            reflect.TypeFor[wls.Server](),
	"authtest.Entry":        reflect.TypeFor[authtest.Entry](),
	"authtest.Faults":       reflect.TypeFor[authtest.Faults](),
	"authtest.Recorder":     reflect.TypeFor[authtest.Recorder](),
	"authtest.Seen":         reflect.TypeFor[authtest.Seen](),
	"authtest.Service":      reflect.TypeFor[authtest.Service](),
	"authtest.Trouble":      reflect.TypeFor[authtest.Trouble](),
}

// notPlanted lists types with a field for secrets in clear text. Their comments say so.
var notPlanted = []string{
	"schemetest.Pair", // Secrets lists the texts that the kit searches for
}

// parts holds values that hold the secret, for fields of an interface type.
func parts() []any {
	key := creds.Secret(planted)
	users := portal.Memory{"ann": key}
	return []any{
		basic.Signer{User: "ann", Password: key},
		&basic.Signer{User: "ann", Password: key},
		&mac.Signer{Source: &mac.Credentials{ID: "a", Key: key}},
		&bearer.Signer{Source: bearer.StaticToken(key)},
		users,
		portal.Checkers{users},
		basic.Verifier{Users: users},
		&basic.Verifier{Users: users},
		auth.Stack{basic.Verifier{Users: users}},
		&mac.Credentials{ID: "a", Key: key},
		creds.Static[*mac.Credentials]{Value: &mac.Credentials{ID: "a", Key: key}},
		bearer.StaticToken(key),
		&transport.Transport{Signer: basic.Signer{User: "ann", Password: key}},
	}
}

// A plant fills values with the secret. If several parts can be set to a field, number chooses one.
type plant struct {
	number int
	fields int // how many fields were given a secret
	most   int // how many parts some field could take
}

// fill sets all exported fields and elements of v that can hold a secret. name is the field's name.
func (p *plant) fill(v reflect.Value, name string, depth int) {
	if depth == 0 {
		return
	}
	switch t := v.Type(); {
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8:
		p.set(v, reflect.ValueOf([]byte(planted)).Convert(t))
	case t == reflect.TypeFor[http.Header]():
		p.set(v, reflect.ValueOf(http.Header{"Authorization": {"Bearer " + planted}}))
	case t == reflect.TypeFor[*oauth2.Token]():
		p.set(v, reflect.ValueOf(&oauth2.Token{AccessToken: planted, RefreshToken: planted}))
	case t == reflect.TypeFor[*http.Client]():
		p.set(v, reflect.ValueOf(&http.Client{Transport: &transport.Transport{
			Signer: basic.Signer{User: "ann", Password: creds.Secret(planted)},
		}}))
	case t.Kind() == reflect.Interface:
		p.choose(v, name)
	case t.Kind() == reflect.Struct && ours(t):
		for i := range t.NumField() {
			if f := t.Field(i); f.IsExported() {
				p.fill(v.Field(i), f.Name, depth-1)
			}
		}
	case t.Kind() == reflect.Pointer && ours(t.Elem()):
		v.Set(reflect.New(t.Elem()))
		p.fill(v.Elem(), name, depth-1)
	case t.Kind() == reflect.Slice:
		v.Set(reflect.MakeSlice(t, 1, 1))
		p.fill(v.Index(0), name, depth-1)
	case t.Kind() == reflect.Map && t.Key().Kind() == reflect.String:
		element := reflect.New(t.Elem()).Elem()
		p.fill(element, name, depth-1)
		v.Set(reflect.MakeMap(t))
		v.SetMapIndex(reflect.ValueOf("ann").Convert(t.Key()), element)
	}
}

func (p *plant) set(v, secret reflect.Value) {
	v.Set(secret)
	p.fields++
}

// choose sets a field of an interface type. It does not set errors: the tests of each package check
// that errors do not hold secrets. A field of type any gets the bytes of a secret if its name is
// Key.
func (p *plant) choose(v reflect.Value, name string) {
	all := parts()
	switch {
	case v.Type() == reflect.TypeFor[error]():
		return
	case v.NumMethod() == 0 && name != "Key":
		return
	case v.NumMethod() == 0:
		all = []any{creds.Secret(planted), []byte(planted)}
	}
	var fit []reflect.Value
	for _, part := range all {
		if x := reflect.ValueOf(part); x.Type().AssignableTo(v.Type()) {
			fit = append(fit, x)
		}
	}
	if len(fit) > 0 {
		p.set(v, fit[p.number%len(fit)])
		p.most = max(p.most, len(fit))
	}
}

func ours(t reflect.Type) bool { return strings.HasPrefix(t.PkgPath(), module) }

// No exported type prints a secret that it holds, however a program holds and prints the value.
func TestNoTypePrintsASecret_K6(t *testing.T) {
	values, nestings, leaks, fields := 0, 0, 0, 0
	secrets := needles()
	ways := printers()
	show := func(what string, pointer reflect.Value) {
		values++
		all := nested(pointer)
		nestings = len(all)
		for nesting, v := range all {
			for way, write := range ways {
				out := strings.ToLower(write(v))
				if containsAny(out, secrets) {
					leaks++
					t.Errorf("%s as %s shows a secret under %s", what, nesting, way)
				}
			}
		}
	}
	for name, typ := range exported {
		for p := (plant{}); p.number == 0 || p.number < p.most; p.number++ {
			v := reflect.New(typ)
			p.fill(v.Elem(), "", 6)
			fields += p.fields
			p.fields = 0
			show(fmt.Sprintf("%s (%d)", name, p.number), v)
		}
	}
	for name, v := range used(t) {
		show(name, reflect.ValueOf(v))
	}
	if fields < 60 {
		t.Errorf("only %d fields were given a secret", fields)
	}
	t.Logf("figure 18: %d values x %d ways to print x %d nestings: %d",
		values, len(ways), nestings, leaks)
}

// used returns pointers to values that hold a secret in their unexported state.
func used(t *testing.T) map[string]any {
	t.Helper()
	ctx := t.Context()
	key := creds.Secret(planted)
	fetched := &mac.Credentials{ID: "a", Key: key, Expires: time.Now().Add(time.Hour)}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(strings.ReplaceAll(err.Error(), planted, "(planted)"))
		}
	}
	cache := &creds.Cache[*mac.Credentials]{
		Fetch: func(context.Context) (*mac.Credentials, error) { return fetched, nil },
	}
	_, err := cache.Credentials(ctx)
	must(err)
	registry := &issue.Registry{}
	ann := &auth.Identity{Subject: "ann"}
	c, err := registry.Add(ctx, ann, mac.Credentials{Key: key})
	must(err)
	_, err = registry.Key(ctx, c.ID)
	must(err)
	issuer := &issue.Issuer{Secrets: []creds.Secret{key}}
	must(issuer.Check())
	answer, err := provision.Marshal(fetched)
	must(err)
	client := &provision.Client{
		URL: "https://api.example.com/provision",
		HTTP: &http.Client{Transport: &testkit.Stage{Plan: []testkit.Reply{{
			Status: http.StatusOK, Body: io.NopCloser(bytes.NewReader(answer)),
		}}}},
	}
	_, err = client.Credentials(ctx)
	must(err)
	tokens := &bearer.Tokens{
		Fetch: func(context.Context, *oauth2.Token) (*oauth2.Token, error) {
			return &oauth2.Token{AccessToken: planted, RefreshToken: planted}, nil
		},
	}
	_, err = tokens.Credentials(ctx)
	must(err)
	// Err takes the lock that a fetch holds until its end, so no fetch writes to a value while it
	// is printed.
	must(errors.Join(cache.Err(), client.Err(), tokens.Err()))
	service := authtest.NewService(t)
	service.Password = key
	return map[string]any{
		"a used creds.Cache": cache, "a used issue.Registry": registry,
		"a used issue.Issuer": issuer, "a used provision.Client": client,
		"a used bearer.Tokens": tokens, "a used authtest.Service": service,
		"a used client": countersign.NewClient(countersign.Config{
			Signer: &mac.Signer{Source: client},
		}),
	}
}

// The search for secrets finds the secret in each of its spellings.
func TestNeedles(t *testing.T) {
	secrets := needles()
	for way, write := range printers() {
		if way == "xml" {
			continue // it writes each byte as an element, and does not write unnamed structs
		}
		for _, v := range []any{planted, []byte(planted), struct{ S string }{planted}} {
			out := strings.ToLower(write(v))
			if strings.Contains(out, "%!") {
				continue
			}
			if !containsAny(out, secrets) {
				t.Errorf("%s of a %T is not found", way, v)
			}
		}
	}
}

// Every exported type with fields or elements is in exported or notPlanted.
func TestExportedIsComplete(t *testing.T) {
	found := 0
	for _, pkg := range standalone {
		files, err := filepath.Glob(filepath.Join(pkg, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range holders(parsed) {
				name = parsed.Name.Name + "." + name
				found++
				if exported[name] == nil && !slices.Contains(notPlanted, name) {
					t.Errorf("%s is missing in exported, in secrets_test.go: add it", name)
				}
			}
		}
	}
	if want := len(exported) + len(notPlanted); found != want {
		t.Errorf("%d types are in the source, and %d in exported and notPlanted", found, want)
	}
}

// holders returns the exported types of a file that have fields or elements.
func holders(file *ast.File) (names []string) {
	for _, d := range file.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.TYPE {
			continue
		}
		for _, spec := range g.Specs {
			s := spec.(*ast.TypeSpec)
			if !s.Name.IsExported() || s.Assign.IsValid() {
				continue
			}
			switch s.Type.(type) {
			case *ast.StructType, *ast.MapType, *ast.ArrayType:
				names = append(names, s.Name.Name)
			}
		}
	}
	return names
}
