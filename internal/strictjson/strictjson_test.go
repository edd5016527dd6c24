package strictjson_test

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/countersign-go/countersign/internal/strictjson"
)

func nested(depth int) string {
	return strings.Repeat(`{"a":`, depth-1) + "{}" + strings.Repeat("}", depth-1)
}

func TestObject_F7(t *testing.T) {
	tests := []struct{ name, data, want string }{
		{"empty object", `{}`, ""},
		{"white space around it", " \t\r\n{ } ", ""},
		{"names that differ by case", `{"id":"a","ID":"b","Id":"c"}`, ""},
		{"same name at two levels", `{"a":{"a":{"a":1}}}`, ""},
		{"all types", `{"a":[1,-2.5e3,"x",true,false,null,{}],"b":[]}`, ""},
		{"surrogate pair", `{"a":"\ud83d\ude00\uD83D\uDE00"}`, ""},
		{"escaped backslash before u", `{"a":"\\ud800"}`, ""},
		{"largest depth", nested(strictjson.MaxDepth), ""},

		{"nothing", ``, "nothing in it"},
		{"white space alone", " \n", "nothing in it"},
		{"text", `hello`, "not JSON"},
		{"no end of a name", `{"a`, "not JSON"},
		{"no end of an escape", `{"a\`, "not JSON"},
		{"no end of a \\u escape", `{"a\u00`, "not JSON"},
		{"signed \\u escape", `{"a\u+001":1}`, "not JSON"},
		{"no value", `{"a":`, "not JSON"},
		{"no end of a word", `{"a":tru`, "not JSON"},
		{"no digit", `{"a":-}`, "not JSON"},
		{"no digit behind the point", `{"a":1.}`, "not JSON"},
		{"no digit in the exponent", `{"a":1e+}`, "not JSON"},
		{"zero byte", "{\x00}", "not JSON"},
		{"zero byte behind it", "{}\x00", "not JSON"},
		{"half an object", `{"a":1`, "not JSON"},
		{"trailing comma", `{"a":1,}`, "not JSON"},
		{"no comma", `{"a":1 "b":2}`, "not JSON"},
		{"no colon", `{"a" 1}`, "not JSON"},
		{"trailing text", `{} x`, "not JSON"},
		{"two objects", `{}{}`, "not JSON"},
		{"byte order mark", "\ufeff{}", "not JSON"},
		{"NaN", `{"a":NaN}`, "not JSON"},
		{"Infinity", `{"a":-Infinity}`, "not JSON"},
		{"leading zero", `{"a":01}`, "not JSON"},
		{"single quotes", `{'a':1}`, "not JSON"},
		{"line feed in a string", "{\"a\":\"\n\"}", "not JSON"},
		{"unknown escape", `{"a":"\x41"}`, "not JSON"},
		{"array", `[]`, "not a JSON object"},
		{"number", `1`, "not a JSON object"},
		{"null", `null`, "not a JSON object"},
		{"bad UTF-8", "{\"a\":\"\xff\"}", "not UTF-8"},
		{"overlong UTF-8", "{\"a\":\"\xc0\xaf\"}", "not UTF-8"},
		{"UTF-16", "\xff\xfe{\x00}\x00", "not UTF-8"},
		{"duplicate", `{"a":1,"b":2,"a":1}`, "a name occurs twice in one object"},
		{"duplicate below", `{"x":[{"a":1,"a":2}]}`, "a name occurs twice in one object"},
		{"duplicate by escape", `{"id":1,"\u0069d":2}`, "a name occurs twice in one object"},
		{"high half", `{"a":"\ud800"}`, `a \u escape that is half a surrogate pair`},
		{"low half", `{"a":"\udc00x"}`, `a \u escape that is half a surrogate pair`},
		{"two high halves", `{"a":"\ud800\ud800"}`, `a \u escape that is half a surrogate pair`},
		{"half in a name", `{"\uDBFF":1}`, `a \u escape that is half a surrogate pair`},
		{"too deep", nested(strictjson.MaxDepth + 1), "nested deeper than 16"},
		{"arrays too deep", `{"a":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + `}`,
			"nested deeper than 16"},
		{"too long", `{"a":"` + strings.Repeat("x", strictjson.MaxSize) + `"}`, "more than 64 KiB"},
	}
	for _, tt := range tests {
		got, err := strictjson.Object([]byte(tt.data))
		if text(err) != tt.want || (err == nil) != (got != nil) {
			t.Errorf("%s: %v, %v, want %q", tt.name, got, err, tt.want)
		}
	}
}

// The cost of an object from an unknown sender stays within its limits.
func TestLimits(t *testing.T) {
	l := strictjson.Limits{Size: 24, Values: 3}
	tests := []struct{ name, data, want string }{
		{"values", `{"a":1,"b":[2]}`, ""},
		{"one value too many", `{"a":1,"b":[2,3]}`, "more than 3 values"},
		{"nested values", `{"a":[[[[[]]]]]}`, "more than 3 values"},
		{"largest size", `{"a":"` + strings.Repeat("x", 16) + `"}`, ""},
		{"one byte too many", `{"a":"` + strings.Repeat("x", 17) + `"}`, "more than 0 KiB"},
	}
	for _, tt := range tests {
		if _, err := l.Object([]byte(tt.data)); text(err) != tt.want {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestObjectValues(t *testing.T) {
	const data = `{"n":9007199254740993,"a":["x",null,true],"o":{"i":1.50}}`
	got, err := strictjson.Object([]byte(data))
	want := map[string]any{
		"n": json.Number("9007199254740993"),
		"a": []any{"x", nil, true},
		"o": map[string]any{"i": json.Number("1.50")},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %#v, %v", got, err)
	}
}

// FuzzObject checks that encoding/json reads each accepted text the same way, and that the object
// can be written and read again.
func FuzzObject(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"id":"a","key":"b","expires":1400000300.5}`, `{"a":1,"A":2}`, `{"a":1,"a":2}`,
		`{"a":"\ud83d\ude00"}`, `{"a":"\ud800"}`, `{"\u0061":[[{}]]}`, nested(17), `[`, "\xff",
		`{"uid":123456789,"groups":["a","b"],"meta":{"n":null,"t":true,"f":0.1}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := strictjson.Object(data)
		if err != nil {
			if strings.HasPrefix(err.Error(), "not JSON") && utf8.Valid(data) && json.Valid(data) {
				t.Fatal("valid JSON was refused")
			}
			return
		}
		if !json.Valid(data) {
			t.Fatal("read something that is not JSON")
		}
		var other map[string]any
		d := json.NewDecoder(bytes.NewReader(data))
		d.UseNumber()
		if err := d.Decode(&other); err != nil || !reflect.DeepEqual(got, other) {
			t.Fatalf("read %#v, encoding/json %#v, %v", got, other, err)
		}
		again, err := json.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		if len(again) > strictjson.MaxSize { // escapes may make it longer
			return
		}
		if got2, err := strictjson.Object(again); err != nil || !reflect.DeepEqual(got, got2) {
			t.Fatalf("%s: %#v, %v", again, got2, err)
		}
	})
}
