package countersign_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// namedTest matches a test in docs/pains.md: its folder, which for the root is the name of the
// module, and its name.
var namedTest = regexp.MustCompile("`([a-z/]+)\\.(Test[A-Za-z0-9_]+)`")

// TestPains checks that docs/pains.md has twenty rows, that each row names a test, and that all of
// these tests exist.
func TestPains(t *testing.T) {
	text, err := os.ReadFile("docs/pains.md")
	if err != nil {
		t.Fatal(err)
	}
	tests := make(map[string]map[string]bool)
	rows := 0
	for line := range strings.SplitSeq(string(text), "\n") {
		cells := strings.Split(line, "|")
		if len(cells) != 6 || strings.Trim(cells[1], " 0123456789") != "" ||
			strings.TrimSpace(cells[1]) == "" {
			continue
		}
		rows++
		found := namedTest.FindAllStringSubmatch(cells[4], -1)
		if len(found) == 0 {
			t.Errorf("row%snames no test", cells[1])
		}
		if rest := strings.TrimSpace(namedTest.ReplaceAllString(cells[4], "")); rest != "" {
			t.Errorf("row%shas %q, which is no `folder.TestName`", cells[1], rest)
		}
		for _, m := range found {
			if tests[m[1]] == nil {
				tests[m[1]] = testsIn(t, m[1])
			}
			if !tests[m[1]][m[2]] {
				t.Errorf("row%snames %s.%s, which does not exist", cells[1], m[1], m[2])
			}
		}
	}
	if rows != 20 {
		t.Errorf("%d rows, want 20", rows)
	}
}

// testsIn returns the names of the functions in the test files of a folder.
func testsIn(t *testing.T, folder string) map[string]bool {
	t.Helper()
	if folder == path.Base(module) {
		folder = "."
	}
	files, err := filepath.Glob(filepath.Join(filepath.FromSlash(folder), "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	names := make(map[string]bool)
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil {
				names[f.Name.Name] = true
			}
		}
	}
	return names
}
