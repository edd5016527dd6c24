package countersign_test

import (
	"bytes"
	"encoding/base64"
	"encoding/gob"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"log"
	"log/slog"
	"reflect"
	"slices"
	"strings"
)

// copyable reports whether a program may copy values of t: vet refuses a copy of a lock.
func copyable(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Array:
		return copyable(t.Elem())
	case reflect.Struct:
		if t.PkgPath() == "sync" || t.PkgPath() == "sync/atomic" {
			return false
		}
		for field := range t.Fields() {
			if !copyable(field.Type) {
				return false
			}
		}
	}
	return true
}

// nested returns the value that pointer points to, in each of the ways in which a program may hold
// it when it prints it. If a value must not be copied, since its Format method is on the pointer or
// it holds a lock, each way holds it by pointer.
func nested(pointer reflect.Value) map[string]any {
	value := pointer.Elem()
	if !copyable(value.Type()) {
		value = pointer
	}
	if formatter := reflect.TypeFor[fmt.Formatter](); pointer.Type().Implements(formatter) &&
		!value.Type().Implements(formatter) {
		value = pointer
	}
	v, p := value.Interface(), pointer.Interface()
	list := func(x reflect.Value) any {
		return reflect.Append(reflect.MakeSlice(reflect.SliceOf(x.Type()), 0, 1), x).Interface()
	}
	field := func(x reflect.Value) reflect.Value {
		s := reflect.New(reflect.StructOf([]reflect.StructField{
			{Name: "N", Type: reflect.TypeFor[int]()}, {Name: "F", Type: x.Type()},
		}))
		s.Elem().Field(1).Set(x)
		return s
	}
	return map[string]any{
		"itself": v, "a pointer": p,
		"a slice": []any{v}, "a slice of pointers": []any{p},
		"its own slice": list(value), "its own slice of pointers": list(pointer),
		"a map": map[string]any{"k": v}, "a map of pointers": map[string]any{"k": p},
		"a field":                           field(value).Elem().Interface(),
		"a field of a pointer":              field(value).Interface(),
		"a pointer in a field":              field(pointer).Elem().Interface(),
		"a pointer in a field of a pointer": field(pointer).Interface(),
		"two levels":                        []any{map[string]any{"k": []any{v, p}}},
	}
}

// printers returns the ways to print a value: every verb of package fmt that go vet allows for some
// value, and the encoders that write a value by its fields.
func printers() map[string]func(any) string {
	all := map[string]func(any) string{
		"json": func(v any) string {
			data, err := json.Marshal(v)
			return fmt.Sprint(string(data), err)
		},
		"xml": func(v any) string {
			data, err := xml.Marshal(v)
			return fmt.Sprint(string(data), err)
		},
		"gob": func(v any) string {
			var b bytes.Buffer
			err := gob.NewEncoder(&b).Encode(v)
			return b.String() + fmt.Sprint(err)
		},
		"log": func(v any) string {
			var b bytes.Buffer
			log.New(&b, "", 0).Println(v) //nolint:forbidigo // a program may log so
			return b.String()
		},
		"slog text": func(v any) string {
			var b bytes.Buffer
			slog.New(slog.NewTextHandler(&b, nil)).Info("x", "v", v, slog.Group("g", "v", v))
			return b.String()
		},
		"slog JSON": func(v any) string {
			var b bytes.Buffer
			slog.New(slog.NewJSONHandler(&b, nil)).Info("x", "v", v, slog.Group("g", "v", v))
			return b.String()
		},
		"an error": func(v any) string {
			return fmt.Errorf("failed with %v: %w", v, io.EOF).Error()
		},
	}
	for _, verb := range verbs {
		all[verb] = func(v any) string { return fmt.Sprintf(verb, v) }
	}
	return all
}

var verbs = strings.Fields("%v %+v %#v %s %+s %q %+q %#q %x %X %#x %d %o %O %b %c %U %e %g %t")

// needles returns the secret as each verb and the usual encodings would write it, in lower case.
func needles() []string {
	all := []string{planted, hex.EncodeToString([]byte(planted))}
	for _, verb := range verbs {
		for _, v := range []any{planted, []byte(planted)} {
			if text := fmt.Sprintf(verb, v); !strings.Contains(text, "%!") {
				all = append(all, strings.Trim(text, "[]`\"'"))
			}
		}
	}
	for before := range 3 { // at each alignment, without letters that depend on other bytes
		text := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("-", before) + planted))
		all = append(all, text[(before*8+5)/6:len(text)-4])
	}
	for i := range all {
		all[i] = strings.ToLower(all[i])
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func containsAny(text string, parts []string) bool {
	return slices.ContainsFunc(parts, func(part string) bool {
		return strings.Contains(text, part)
	})
}
