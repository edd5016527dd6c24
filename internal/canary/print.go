package canary

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// forms are the forms of the mark that the checks search for: the text, its bytes in hexadecimal or
// decimal, and base64 at each alignment.
var forms = regexp.MustCompile(`(?i:canary-[a-z0-9]|63616e6172792d[367]|` +
	`99,? 97,? 110,? 97,? 114,? 121,? 45|0x63, 0x61, 0x6e, 0x61, 0x72, 0x79, 0x2d)|` +
	`Y2FuYXJ5L[TWX]|NhbmFyeS[01]|jYW5hcnkt`)

// Print checks that no exported type of the package in dir prints a secret. values has a value or a
// pointer for each of those types, in which a secret with the mark is planted. It is nil for a type
// that cannot hold a secret. A type that is missing in values is an error, so that a new type
// cannot be forgotten.
//
// Each value is printed by verbs of package fmt, by encoding/json and by log/slog, alone and within
// other values. Within others, a verb that does not fit a pointer makes package fmt print
// everything that the pointer leads to, without calling its methods. So each type whose pointers
// lead to a secret needs a Format method. A method does not help with %p, or in a pointer to a
// caller's struct.
func Print(t *testing.T, dir string, values map[string]any) {
	t.Helper()
	types := exported(t, dir)
	for name := range values {
		if !types[name] {
			t.Errorf("%s is not an exported type of the package", name)
		}
	}
	for name := range types {
		value, ok := values[name]
		switch {
		case !ok:
			t.Errorf("%s is missing: plant a secret in one", name)
		case value != nil && !holds(reflect.ValueOf(value), 0):
			t.Errorf("%s: no secret is planted in it", name)
		case value != nil:
			check(t, name, value)
		}
	}
}

// exported returns the names of the exported types that the Go files of dir declare.
func exported(t *testing.T, dir string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no Go files in %s: %v", dir, err)
	}
	types := make(map[string]bool)
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		source, err := os.ReadFile(name) //nolint:gosec // a file of this repository
		if err != nil {
			t.Fatal(err)
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, source, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range file.Decls {
			group, ok := decl.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, spec := range group.Specs {
				named, ok := spec.(*ast.TypeSpec)
				if !ok || !named.Name.IsExported() {
					continue
				}
				if _, ok := named.Type.(*ast.InterfaceType); !ok {
					types[named.Name.Name] = true
				}
			}
		}
	}
	return types
}

// holds reports whether a secret is planted in v, or may be in a place that reflection cannot read.
func holds(v reflect.Value, depth int) bool {
	if depth > 20 {
		return false
	}
	switch v.Kind() {
	case reflect.String:
		return strings.Contains(v.String(), "canary-")
	case reflect.Func, reflect.UnsafePointer:
		return !v.IsNil()
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return bytes.Contains(v.Bytes(), []byte("canary-"))
		}
	}
	return slices.ContainsFunc(parts(v), func(part reflect.Value) bool {
		return holds(part, depth+1)
	})
}

// parts returns the values that v consists of.
func parts(v reflect.Value) (all []reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		return []reflect.Value{v.Elem()}
	case reflect.Struct:
		for _, field := range v.Fields() {
			all = append(all, field)
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			all = append(all, key, v.MapIndex(key))
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			all = append(all, v.Index(i))
		}
	}
	return all
}

func check(t *testing.T, name string, value any) {
	t.Helper()
	alone := []any{value}
	if v := reflect.ValueOf(value); v.Kind() != reflect.Pointer {
		pointer := reflect.New(v.Type())
		pointer.Elem().Set(v)
		alone = append(alone, pointer.Interface())
	}
	for _, v := range alone {
		typed := reflect.Append(reflect.MakeSlice(reflect.SliceOf(reflect.TypeOf(v)), 0, 1),
			reflect.ValueOf(v)).Interface()
		within := struct{ F any }{v}
		for _, printed := range []any{
			v, []any{v}, &[]any{v}, [1]any{v}, map[string]any{"k": v}, within, &within, typed,
			[]any{within, typed}, fmt.Errorf("wrapped: %v", v),
		} {
			for verb := range strings.FieldsSeq("%v %+v %#v %s %q %x %X %d %t %c %U %e") {
				report(t, name, verb, printed, fmt.Sprintf(verb, printed))
			}
			text, err := json.Marshal(printed)
			report(t, name, "JSON", printed, fmt.Sprint(string(text), err))
			var out bytes.Buffer
			slog.New(slog.NewTextHandler(&out, nil)).Info("x", "v", printed)
			slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "v", printed)
			report(t, name, "a log", printed, out.String())
		}
	}
}

// report names the leak without repeating the secret.
func report(t *testing.T, name, verb string, printed any, text string) {
	t.Helper()
	if forms.MatchString(text) {
		t.Errorf("%s: %s prints a secret of a %T", name, verb, printed)
	}
}
