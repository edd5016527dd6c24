package authparam_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/countersign-go/countersign/internal/authparam"
)

// FuzzParse checks that a parsed line, when printed and parsed again, gives the same challenges and
// the same text.
func FuzzParse(f *testing.F) {
	for _, line := range []string{
		"",
		`Negotiate, MAC error="stale", ts="1", Basic realm="a, b"`,
		` ,, MAC , ,ts=1,,x=2 ,, Basic realm="a\"\\, b", `,
		"Negotiate abc==, NTLM abc= , Bearer",
		"MAC ts = 1,\tx\t=\t\"2\"",
		`Negotiate, MAC ts=1, TS=2, Basic`,
		`MAC id="h480djs93hd8", ts="1336363200", mac="bhCQXTVyfj5cmA9uKkPFx1zeOXM="`,
		"Basic realm=\"\xff\\\xfe\"",
		"MAC a= , b",
		`"`,
	} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		read, err := authparam.Parse([]string{line})
		if err != nil && strings.Contains(line, err.Error()) {
			t.Error("the error repeats the line")
		}
		if len(read) == 0 {
			return
		}
		var printed []string
		for _, c := range read {
			printed = append(printed, c.String())
			checkText(t, c)
		}
		once := strings.Join(printed, ", ")
		if len(once) > 8<<10 { // quotes and blanks can make a long line longer
			return
		}
		again, err := authparam.Parse([]string{once})
		if err != nil || !reflect.DeepEqual(again, read) {
			t.Fatalf("%q\n reads as %+v,\n prints as %q,\n reads as %+v, %v",
				line, read, once, again, err)
		}
	})
}

func checkText(t *testing.T, c authparam.Challenge) {
	if c.Scheme == "" || c.Token68 != "" && c.Params != nil {
		t.Errorf("%+v is no challenge", c)
	}
	for i, p := range c.Params {
		if p.Name == "" || p.Name != strings.ToLower(p.Name) {
			t.Errorf("the name %q", p.Name)
		}
		for _, q := range c.Params[:i] {
			if p.Name == q.Name {
				t.Errorf("%q twice", p.Name)
			}
		}
		isControl := func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }
		if strings.ContainsFunc(p.Value, isControl) {
			t.Errorf("a control character in %q", p.Value)
		}
	}
}
