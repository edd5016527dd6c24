package countersign_test

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
)

const module = "github.com/countersign-go/countersign"

// directions lists the packages of this module that each package may import, in addition to
// internal packages. The root is ".". A folder that is not listed is a scheme, so a new scheme does
// not need a change here.
var directions = map[string][]string{
	".":               {"retry", "transport"},
	"retry":           {"transport"},
	"transport":       {},
	"auth":            {},
	"creds":           {},
	"creds/file":      {"creds"},
	"mac":             {"auth", "creds", "transport"},
	"portal":          {"creds"},
	"basic":           {"auth", "creds", "transport"},
	"bearer":          {"auth", "creds", "transport"},
	"jwt":             {"auth", "creds", "transport"},
	"jwt/pyramid":     {"creds", "jwt"},
	"raven":           {"auth"},
	"provision":       {"creds", "transport"},
	"provision/issue": {"auth", "creds", "mac", "provision"},
	"raven/wls":       {"creds", "portal", "raven"},
	"authtest": {
		"auth", "basic", "bearer", "creds", "jwt", "mac", "portal", "provision", "provision/issue",
		"transport",
	},
	"authtest/schemetest": {"auth", "transport"},
}

var scheme = []string{"auth", "creds", "transport"}

// leaves lists exceptions to the rule for internal packages, which is that they import only the
// standard library and that all packages may import them. A package listed here may import only its
// internal packages in the list: auth and transport, which do not depend on a scheme, and internal
// packages that use others.
var leaves = map[string][]string{
	"auth": {"internal/authparam", "internal/clock"},
	"transport": {
		"internal/authparam", "internal/body", "internal/httptime", "internal/logs",
		"internal/lost", "internal/origin", "internal/repeat",
	},
	"retry":          {"internal/body", "internal/httptime", "internal/lost", "internal/repeat"},
	"internal/jose":  {"internal/strictjson"},
	"internal/place": {"internal/authparam", "internal/slip"},
	"internal/fetch": {
		"internal/httptime", "internal/lost", "internal/origin", "internal/strictjson",
	},
}

// foreign lists the only packages of other modules that standalone packages may import. File locks
// differ between systems, and the standard library does not export any. Package retry accepts the
// policies of a library that many programs use. Package bearer uses the tokens of package oauth2.
// Package jwt uses one library to verify signatures, and another to read key sets. Package portal
// computes password hashes, of which the standard library has only PBKDF2. Package raven can keep
// its sessions in the session store of its users.
var foreign = map[string][]string{
	"retry":      {"github.com/hashicorp/go-retryablehttp"},
	"creds/file": {"github.com/gofrs/flock"},
	"bearer":     {"golang.org/x/oauth2"},
	"jwt":        {"github.com/golang-jwt/jwt/v5", "github.com/go-jose/go-jose/v4"},
	"portal": {
		"golang.org/x/crypto/argon2", "golang.org/x/crypto/bcrypt",
		"github.com/go-crypt/x/crypt", "github.com/go-crypt/x/yescrypt",
	},
	"raven": {"github.com/alexedwards/scs/v2"},
}

// standalone packages import only packages of this module, of the standard library and of foreign.
var standalone = []string{
	".", "retry", "transport", "mac", "auth", "creds", "creds/file", "provision",
	"provision/issue", "basic", "portal", "authtest", "authtest/schemetest", "bearer",
	"jwt", "jwt/pyramid", "raven", "raven/wls",
}

func TestImports(t *testing.T) {
	imports, err := packageImports(os.DirFS("."))
	if err != nil {
		t.Fatal(err)
	}
	for _, pkg := range standalone {
		if len(imports[pkg]) == 0 {
			t.Errorf("package %s imports nothing: has it moved?", pkg)
		}
	}
	for _, finding := range importFindings(imports) {
		t.Error(finding)
	}
}

// TestImportFindings checks that a violation of each rule is reported.
func TestImportFindings(t *testing.T) {
	for _, tt := range []struct {
		name, file, imported string
		want                 string // part of the finding; "" if the import is allowed
	}{
		{"standard library", "mac/x.go", "net/http", ""},
		{"its own verifier side", "mac/x.go", module + "/auth", ""},
		{"internal package", "mac/x.go", module + "/internal/authparam", ""},
		{"a new scheme's library", "hawk/x.go", "example.org/hawk", ""},
		{"the other side of it", "raven/wls/x.go", module + "/raven", ""},
		{"its fake in a scheme", "raven/x.go", module + "/raven/wls", "must not import raven/wls"},
		{"an example", "examples/x/main.go", module, ""},
		{"another module in the tree", "internal/peers/x.go", "example.org/peer", ""},
		{"foreign package", "mac/x.go", "example.org/hash", "mac must not import example.org"},
		{"locks of files", "creds/file/x.go", "github.com/gofrs/flock", ""},
		{"locks of creds", "creds/x.go", "github.com/gofrs/flock", "creds must not import github"},
		{"locks elsewhere", "mac/x.go", "github.com/gofrs/flock", "mac must not import github"},
		{"its neighbour", "creds/file/x.go", "github.com/gofrs/flock2", "must not import github"},
		{"a part of it", "creds/file/x.go", "github.com/gofrs/flock/x", "must not import github"},
		{"tokens of bearer", "bearer/x.go", "golang.org/x/oauth2", ""},
		{"key sets of jwt", "jwt/x.go", "github.com/go-jose/go-jose/v4", ""},
		{"key sets in bearer", "bearer/x.go", "github.com/go-jose/go-jose/v4", "bearer must not"},
		{"one in the other", "jwt/x.go", module + "/bearer", "jwt must not import bearer"},
		{"tokens elsewhere", "mac/x.go", "golang.org/x/oauth2", "mac must not import golang"},
		{"policies of retry", "retry/x.go", "github.com/hashicorp/go-retryablehttp", ""},
		{"policies in the root", "x.go", "github.com/hashicorp/go-retryablehttp",
			". must not import github"},
		{"retries elsewhere", "transport/x.go", "github.com/hashicorp/go-retryablehttp",
			"transport must not import github"},
		{"retries in a leaf", "internal/x/x.go", "github.com/hashicorp/go-retryablehttp",
			"internal/x must not import github"},
		{"locks in the root", "x.go", "github.com/gofrs/flock", ". must not import github"},
		{"what it is made of", "retry/x.go", "github.com/hashicorp/go-cleanhttp",
			"retry must not import"},
		{"hashes of portal", "portal/x.go", "golang.org/x/crypto/bcrypt", ""},
		{"hashes elsewhere", "basic/x.go", "golang.org/x/crypto/bcrypt", "basic must not import"},
		{"hashes by a detour", "basic/x.go", module + "/portal", "basic must not import portal"},
		{"another hash", "portal/x.go", "golang.org/x/crypto/md4", "portal must not import golang"},
		{"portal over HTTP", "portal/x.go", "net/http", "portal must not import net/http"},
		{"sessions of raven", "raven/x.go", "github.com/alexedwards/scs/v2", ""},
		{"sessions elsewhere", "bearer/x.go", "github.com/alexedwards/scs/v2", "bearer must not"},
		{"foreign by a detour", "internal/fetch/x.go", "example.org/json", "must not import"},
		{"root imported", "provision/x.go", module, "provision must not import ."},
		{"root names a scheme", "client.go", module + "/mac", ". must not import mac"},
		{"retry names a scheme", "retry/x.go", module + "/mac", "retry must not import mac"},
		{"transport repeats", "transport/x.go", module + "/retry", "must not import retry"},
		{"retry and a leaf", "retry/x.go", module + "/internal/lost", ""},
		{"retry and another leaf", "retry/x.go", module + "/internal/fetch", "internal/fetch"},
		{"scheme imports transport", "mac/x.go", module + "/transport", ""},
		{"new scheme the same", "hawk/x.go", module + "/transport", ""},
		{"servers only", "raven/x.go", module + "/transport", "must not import transport"},
		{"scheme imports a scheme", "hawk/x.go", module + "/mac", "must not import mac"},
		{"transport names a scheme", "transport/x.go", module + "/mac", "must not import mac"},
		{"transport and fetch", "transport/x.go", module + "/internal/fetch", "internal/fetch"},
		{"auth imports creds", "auth/x.go", module + "/creds", "must not import creds"},
		{"leaf imports a package", "internal/x/x.go", module + "/creds", "must not import creds"},
		{"leaf on a leaf", "internal/fetch/x.go", module + "/internal/origin", ""},
		{"any leaf", "internal/x/x.go", module + "/internal/origin", "must not import internal"},
		{"schemes of authtest", "authtest/x.go", module + "/mac", ""},
		{"authtest beside tests", "mac/x.go", module + "/authtest", "mac must not import authtest"},
		{"an example imported", "mac/x.go", module + "/examples/x", "must not import examples/x"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			imports, err := packageImports(fstest.MapFS{
				tt.file:                 {Data: importing(tt.imported)},
				"mac/x_test.go":         {Data: importing("example.org/mock")},
				"internal/peers/go.mod": {Data: []byte("module example.org/peers\n")},
			})
			if err != nil {
				t.Fatal(err)
			}
			got := strings.Join(importFindings(imports), "\n")
			if (tt.want == "") != (got == "") || !strings.Contains(got, tt.want) {
				t.Errorf("findings %q, want %q", got, tt.want)
			}
		})
	}
}

func importing(name string) []byte {
	return fmt.Appendf(nil, "package x\n\nimport _ %q\n", name)
}

// packageImports returns the imports of each package, except those in tests and in other modules.
// It reads files for other systems too, so the result is the same on every system.
func packageImports(tree fs.FS) (map[string][]string, error) {
	imports := make(map[string][]string)
	err := fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			return skipDir(tree, name)
		}
		if path.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		source, err := fs.ReadFile(tree, name)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, source, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range file.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			imports[path.Dir(name)] = append(imports[path.Dir(name)], imported)
		}
		return nil
	})
	return imports, err
}

// skipDir returns fs.SkipDir for a folder that the go command leaves out of ./... too.
func skipDir(tree fs.FS, dir string) error {
	if dir == "." {
		return nil
	}
	base := path.Base(dir)
	if base == "testdata" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") {
		return fs.SkipDir
	}
	if _, err := fs.Stat(tree, path.Join(dir, "go.mod")); err == nil {
		return fs.SkipDir
	}
	return nil
}

func importFindings(imports map[string][]string) []string {
	var findings []string
	for pkg, imported := range imports {
		for _, name := range imported {
			if !mayImport(pkg, name) {
				findings = append(findings, pkg+" must not import "+local(name))
			}
		}
	}
	slices.Sort(findings)
	return slices.Compact(findings)
}

func mayImport(pkg, name string) bool {
	internal := strings.HasPrefix(pkg, "internal/")
	if name != module && !strings.HasPrefix(name, module+"/") {
		domain, _, _ := strings.Cut(name, "/")
		standard := !strings.Contains(domain, ".")
		if pkg == "portal" && name == "net/http" {
			return false // a login there works with any protocol
		}
		return standard || slices.Contains(foreign[pkg], name) ||
			!internal && !slices.Contains(standalone, pkg)
	}
	if strings.HasPrefix(pkg, "examples/") {
		return true
	}
	if strings.HasPrefix(local(name), "internal/") {
		allowed, limited := leaves[pkg]
		return !limited && !internal || slices.Contains(allowed, local(name))
	}
	if internal {
		return false
	}
	allowed, listed := directions[pkg]
	if !listed {
		allowed = scheme
	}
	return slices.Contains(allowed, local(name))
}

// local returns the folder of a package of this module. It returns any other name unchanged.
func local(name string) string {
	return path.Clean(strings.TrimPrefix(strings.TrimPrefix(name, module), "/"))
}
