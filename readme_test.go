package countersign_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// README must follow these rules:
//
//   - Its first fenced block begins within the first 15 lines, is Go, and calls NewClient.
//   - Every Go block compiles. A block is a whole file, or declarations, or statements; the last
//     two need no imports of their own, and statements may use the names of prelude. An unused
//     variable is forgiven, since an excerpt may end before its result is used.
//   - It shows the two commands a newcomer runs, and where to look after a 401.

// prelude declares the names that statements in README may use without declaring them.
const prelude = `ctx context.Context, id string, key creds.Secret, client *http.Client,
	req *http.Request, resp *http.Response, handler http.Handler, mux *http.ServeMux`

// known lists the packages that a block may use without importing them.
var known = map[string]string{
	"context": "context", "errors": "errors", "fmt": "fmt", "http": "net/http",
	"httptest": "net/http/httptest", "io": "io", "log": "log", "os": "os", "slog": "log/slog",
	"strings": "strings", "testing": "testing", "time": "time", "url": "net/url",
	"synctest":    "testing/synctest",
	"countersign": module, "transport": module + "/transport", "creds": module + "/creds",
	"file": module + "/creds/file",
	"mac":  module + "/mac", "auth": module + "/auth", "basic": module + "/basic",
	"portal": module + "/portal", "provision": module + "/provision",
	"issue":    module + "/provision/issue",
	"authtest": module + "/authtest", "httpmock": "github.com/jarcoal/httpmock",
	"bearer": module + "/bearer", "oauth2": "golang.org/x/oauth2",
	"clientcredentials": "golang.org/x/oauth2/clientcredentials",
	"jwt":               module + "/jwt",
}

type block struct {
	line     int // of the opening fence, counted from 1
	language string
	text     string
}

func TestReadmeFirstScreen(t *testing.T) {
	text := readme(t)
	blocks := fencedBlocks(text)
	if len(blocks) == 0 {
		t.Fatal("README.md has no code block")
	}
	first := blocks[0]
	if first.line > 15 || first.language != "go" {
		t.Errorf("the first block is %q at line %d, want Go within 15 lines",
			first.language, first.line)
	}
	if !strings.Contains(first.text, "countersign.NewClient(") {
		t.Errorf("the first block does not call countersign.NewClient:\n%s", first.text)
	}
	for _, want := range []string{"go test ./...", "go run ./examples/luckynum", "History"} {
		if !strings.Contains(text, want) {
			t.Errorf("README.md does not show %q", want)
		}
	}
}

func TestReadmeCompiles(t *testing.T) {
	check := newChecker(t)
	for _, b := range fencedBlocks(readme(t)) {
		if b.language != "go" {
			continue
		}
		t.Run(fmt.Sprintf("line %d", b.line), func(t *testing.T) {
			if err := check(b.text); err != nil {
				t.Errorf("%v, in\n%s", err, b.text)
			}
		})
	}
}

// TestReadmeCheck checks that the checker accepts valid blocks, and refuses blocks that do not
// compile.
func TestReadmeCheck(t *testing.T) {
	check := newChecker(t)
	for _, tt := range []struct {
		name, text string
		want       string // part of the error; "" for a block that compiles
	}{
		{"file", "package main\n\nimport \"fmt\"\n\nfunc main() { fmt.Println() }\n", ""},
		{"declaration", "func next(h http.Handler) http.Handler { return h }\n", ""},
		{"statements", "resp, err := client.Get(\"https://example.com\")\n", ""},
		{"statements with imports", "import \"net/netip\"\n\na := netip.IPv6Loopback()\n", ""},
		{"syntax", "resp, err := client.Get(\n", "expected"},
		{"unknown name", "resp := clinet.Get()\n", "undefined: clinet"},
		{"unknown field", "s := http.Server{Adr: \"\"}\n", "unknown field Adr"},
		{"wrong type", "client.Timeout = \"1s\"\n", "cannot use"},
		{"missing import", "package main\n\nfunc main() { fmt.Println() }\n", "undefined: fmt"},
		{"unknown package", "import \"fmt/print\"\n\nprint.Line()\n", "fmt/print"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := check(tt.text)
			if (err == nil) != (tt.want == "") {
				t.Fatalf("error %v, want %q", err, tt.want)
			}
			if err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

func TestFencedBlocks(t *testing.T) {
	got := fencedBlocks("a\n```go\nx\n\ty\n```\n  ```\n  z\n  ```\n~~~ sh\n```\n~~~\n")
	want := []block{{2, "go", "x\n\ty\n"}, {6, "", "  z\n"}, {9, "sh", "```\n"}}
	if !slices.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func readme(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func fencedBlocks(text string) []block {
	var blocks []block
	fence := ""
	for i, line := range strings.Split(text, "\n") {
		trimmed := strings.TrimSpace(line)
		switch {
		case fence != "" && trimmed == fence:
			fence = ""
		case fence != "":
			blocks[len(blocks)-1].text += line + "\n"
		case strings.HasPrefix(trimmed, "```"), strings.HasPrefix(trimmed, "~~~"):
			fence = trimmed[:3]
			blocks = append(blocks, block{line: i + 1, language: strings.TrimSpace(trimmed[3:])})
		}
	}
	return blocks
}

// newChecker returns a function that type-checks one block against the packages of this tree. The
// go command compiles them, or finds them compiled, without a network.
func newChecker(t *testing.T) func(text string) error {
	t.Helper()
	fset := token.NewFileSet()
	return func(text string) error {
		file, err := parseBlock(fset, text)
		if err != nil {
			return err
		}
		compiled, err := exports(t, file)
		if err != nil {
			return err
		}
		lookup := func(name string) (io.ReadCloser, error) { return os.Open(compiled[name]) }
		var problems []error
		config := types.Config{
			Importer: importer.ForCompiler(fset, "gc", lookup),
			Error: func(err error) {
				var problem types.Error
				if !errors.As(err, &problem) || !problem.Soft {
					problems = append(problems, err)
				}
			},
		}
		// Check returns the first error passed to Error, which may be a soft error.
		_, _ = config.Check("readme", fset, []*ast.File{file}, nil)
		return errors.Join(problems...)
	}
}

// parseBlock parses a whole file, or else declarations, or else statements.
func parseBlock(fset *token.FileSet, text string) (*ast.File, error) {
	if strings.HasPrefix(strings.TrimSpace(text), "package ") {
		return parser.ParseFile(fset, "block", text, parser.SkipObjectResolution)
	}
	own, rest := splitImports(text)
	head := "package readme\n" + own + missingImports(own, text)
	file, err := parser.ParseFile(fset, "block", head+rest, parser.SkipObjectResolution)
	if err == nil {
		return file, nil
	}
	head = "package readme\n" + own + missingImports(own, text+prelude)
	body := head + "func _(" + prelude + ") {\n{\n" + rest + "\n}\n}\n"
	return parser.ParseFile(fset, "block", body, parser.SkipObjectResolution)
}

// splitImports separates the import declarations at the start of a block from the rest.
func splitImports(text string) (imports, rest string) {
	const clause = "package readme\n"
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, "", clause+text, parser.ImportsOnly)
	if err != nil || len(file.Decls) == 0 {
		return "", text
	}
	end := fset.Position(file.Decls[len(file.Decls)-1].End()).Offset - len(clause)
	return text[:end] + "\n", text[end:]
}

// missingImports imports the known packages that a block mentions and does not import itself. An
// unused import is as harmless here as an unused variable.
func missingImports(own, text string) string {
	var imports strings.Builder
	for name, pkg := range known {
		if strings.Contains(text, name+".") && !strings.Contains(own, strconv.Quote(pkg)) {
			fmt.Fprintf(&imports, "import %s %q\n", name, pkg)
		}
	}
	return imports.String()
}

// exports returns the files with the compiled types of all packages that a file imports.
func exports(t *testing.T, file *ast.File) (map[string]string, error) {
	t.Helper()
	args := []string{"list", "-export", "-deps", "-json=ImportPath,Export", "--"}
	for _, spec := range file.Imports {
		name, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return nil, err
		}
		args = append(args, name)
	}
	if len(file.Imports) == 0 {
		return nil, nil
	}
	var stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w: %s", err, stderr.Bytes())
	}
	compiled := make(map[string]string)
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var pkg struct {
			ImportPath string `json:"ImportPath"`
			Export     string `json:"Export"`
		}
		if err := dec.Decode(&pkg); errors.Is(err, io.EOF) {
			return compiled, nil
		} else if err != nil {
			return nil, err
		}
		compiled[pkg.ImportPath] = pkg.Export
	}
}
