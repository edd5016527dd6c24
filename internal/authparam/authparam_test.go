package authparam_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/countersign-go/countersign/internal/authparam"
)

type (
	challenge = authparam.Challenge
	params    = []authparam.Param
)

func TestParse(t *testing.T) {
	basic := challenge{Scheme: "Basic", Params: params{{"realm", "a, b"}}}
	for _, tt := range []struct {
		reason string
		line   string
		want   []challenge
	}{
		{"a scheme alone", `Negotiate`, []challenge{{Scheme: "Negotiate"}}},
		{"nothing is no challenge", "", nil},
		{"blanks are no challenge", " \t ", nil},
		{"commas alone are empty elements", ", ,,", nil},
		{"the comma in a quoted-string ends nothing", `Basic realm="a, b"`, []challenge{basic}},
		{"several in one line, as some servers send them",
			`Negotiate, MAC error="stale", ts="1", Basic realm="a, b"`,
			[]challenge{
				{Scheme: "Negotiate"},
				{Scheme: "MAC", Params: params{{"error", "stale"}, {"ts", "1"}}},
				basic,
			}},
		{"empty elements anywhere, 5.6.1.2", ` ,, MAC , ,ts=1,,x=2 ,, Basic realm="a, b", `,
			[]challenge{{Scheme: "MAC", Params: params{{"ts", "1"}, {"x", "2"}}}, basic}},
		{"blanks around the equals sign, 11.2", "MAC ts = 1,\tx\t=\t\"2\"",
			[]challenge{{Scheme: "MAC", Params: params{{"ts", "1"}, {"x", "2"}}}}},
		{"several spaces behind the scheme, 11.3", `MAC   ts=1`,
			[]challenge{{Scheme: "MAC", Params: params{{"ts", "1"}}}}},
		{"a parameter is known by its equals sign, so a scheme may follow a scheme",
			`Negotiate, Kerberos , MAC`,
			[]challenge{{Scheme: "Negotiate"}, {Scheme: "Kerberos"}, {Scheme: "MAC"}}},
		{"token68 with padding", `Negotiate oYG0/+.-_~==, MAC`,
			[]challenge{{Scheme: "Negotiate", Token68: "oYG0/+.-_~=="}, {Scheme: "MAC"}}},
		{"token68 without padding", "Negotiate abc\t,MAC",
			[]challenge{{Scheme: "Negotiate", Token68: "abc"}, {Scheme: "MAC"}}},
		{"no value behind the equals sign: a token68", `Negotiate abc=`,
			[]challenge{{Scheme: "Negotiate", Token68: "abc="}}},
		{"a value behind the equals sign: a parameter", `Negotiate abc=d`,
			[]challenge{{Scheme: "Negotiate", Params: params{{"abc", "d"}}}}},
		{"escapes, 5.6.4", `Basic realm="\a\"\\\, "`,
			[]challenge{{Scheme: "Basic", Params: params{{"realm", `a"\, `}}}}},
		{"an empty quoted-string", `Basic realm=""`,
			[]challenge{{Scheme: "Basic", Params: params{{"realm", ""}}}}},
		{"obs-text and a tab in a quoted-string", "Basic realm=\"ü\t\\\xff\"",
			[]challenge{{Scheme: "Basic", Params: params{{"realm", "ü\t\xff"}}}}},
		{"names in lower case, values as they are", `MAC Error="Stale"`,
			[]challenge{{Scheme: "MAC", Params: params{{"error", "Stale"}}}}},
		{"the same name in two challenges", `A realm=1, B realm=2`,
			[]challenge{
				{Scheme: "A", Params: params{{"realm", "1"}}},
				{Scheme: "B", Params: params{{"realm", "2"}}},
			}},
	} {
		got, err := authparam.Parse([]string{tt.line})
		if err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s:\nParse(%q)\n = %+v, %v\nwant %+v", tt.reason, tt.line, got, err, tt.want)
		}
	}
}

func TestParseMalformed(t *testing.T) {
	negotiate := []challenge{{Scheme: "Negotiate"}}
	for _, tt := range []struct {
		reason string
		line   string
		at     int // the position of the fault, counted from 1
		want   []challenge
	}{
		{"a name twice, C16", `Negotiate, MAC ts=1, ts=2`, 22, negotiate},
		{"a name twice in another case", `Negotiate, MAC ts=1, TS=2`, 22, negotiate},
		{"a parameter before any scheme", `realm="x"`, 1, nil},
		{"a parameter of a scheme without a space", `Negotiate, MAC, ts=1`, 17, negotiate},
		{"a tab where a space must be, 11.3", "Negotiate, MAC\tts=1", 16, negotiate},
		{"a parameter behind a token68", `Negotiate, NTLM abc=, ts=1`, 23, negotiate},
		{"two token68", `Negotiate, NTLM abc def`, 21, negotiate},
		{"two parameters without a comma", `Negotiate, MAC ts=1 x=2`, 21, negotiate},
		{"text behind a quoted-string", `Negotiate, MAC ts="1"2`, 22, negotiate},
		{"an open quote, C18", `Negotiate, MAC ts="1`, 21, negotiate},
		{"a backslash at the end", `Negotiate, MAC ts="1\`, 22, negotiate},
		{"an escaped quote does not close", `Negotiate, MAC ts="1\"`, 23, negotiate},
		{"a newline in a quoted-string", "Negotiate, MAC ts=\"1\n\"", 21, negotiate},
		{"an escaped NUL", "Negotiate, MAC ts=\"1\\\x00\"", 22, negotiate},
		{"no value", `Negotiate, MAC x=1, ts=, y=2`, 24, negotiate},
		{"no value, which makes a token68 of the name", `Negotiate, MAC ts=, y=2`, 21, negotiate},
		{"a value that is neither token nor quoted-string", `Negotiate, MAC ts={1}`, 19, negotiate},
		{"no name", `Negotiate, MAC ts=1, =1`, 22, negotiate},
		{"a name for a scheme", `Negotiate, A, MAC =1`, 15, negotiate},
		{"no scheme", `Negotiate, A, "MAC"`, 15, negotiate},
		{"not ASCII outside quotes", "Negotiate, MÄC", 13, negotiate},
		{"too many parameters", "Negotiate, MAC" + manyParams(17), 128, negotiate},
		{"a line over 8 KiB, S4", "Negotiate" + strings.Repeat(" ", 8184), 8193, nil},
	} {
		got, err := authparam.Parse([]string{tt.line})
		if err == nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s:\nParse(%q)\n = %+v, %v\nwant %+v and an error",
				tt.reason, tt.line, got, err, tt.want)
			continue
		}
		if at := fmt.Sprintf("line 1, byte %d: ", tt.at); !strings.Contains(err.Error(), at) {
			t.Errorf("%s: the error is %q, want %q in it", tt.reason, err, at)
		}
	}
}

// manyParams returns n parameters with different names.
func manyParams(n int) string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf(" p%02d=%d", i, i%10)
	}
	return strings.Join(names, ",")
}

func TestLimitsAreInclusive(t *testing.T) {
	line := "MAC" + manyParams(16)
	line += strings.Repeat(" ", 8<<10-len(line))
	got, err := authparam.Parse([]string{line})
	if err != nil || len(got) != 1 || len(got[0].Params) != 16 {
		t.Errorf("16 parameters in 8 KiB: %d challenges, %v", len(got), err)
	}
}

func TestParseLines(t *testing.T) {
	mac := challenge{Scheme: "MAC", Params: params{{"error", "nonce"}}}
	lines := []string{"Negotiate", `Basic realm="secret`, `MAC error="nonce"`, "@"}
	got, err := authparam.Parse(lines)
	if want := []challenge{{Scheme: "Negotiate"}, mac}; !reflect.DeepEqual(got, want) {
		t.Errorf("a broken line hides another one: %+v, want %+v", got, want)
	}
	if err == nil || !strings.Contains(err.Error(), "line 2, byte 20") {
		t.Errorf("error %v, want the first fault", err)
	}
	if strings.Contains(fmt.Sprint(err), "secret") {
		t.Errorf("the error repeats the line: %v", err)
	}
	got, err = authparam.Parse([]string{"MAC", "ts=1"})
	if len(got) != 1 || err == nil {
		t.Errorf("a parameter went over to the next line: %+v, %v", got, err)
	}
}

// A peer may send megabytes of challenges; the memory for them is limited.
func TestTooManyChallenges(t *testing.T) {
	lines := slices.Repeat([]string{"A, B"}, 32)
	if got, err := authparam.Parse(lines); len(got) != 64 || err != nil {
		t.Errorf("64 challenges: %d, %v", len(got), err)
	}
	if got, err := authparam.Parse(append(lines, "C")); len(got) != 64 || err == nil {
		t.Errorf("a line too many: %d challenges, %v; want 64 and an error", len(got), err)
	}
	got, err := authparam.Parse([]string{strings.Repeat("A,", 65)})
	if len(got) != 63 || err == nil {
		t.Errorf("65 in one line: %d challenges, %v; want 63 and an error", len(got), err)
	}
}

func TestChallenge(t *testing.T) {
	c := challenge{Scheme: "Mac", Params: params{{"error", "stale"}, {"ts", "1"}}}
	if !c.Is("MAC") || c.Is("MA") {
		t.Error("Is compares schemes wrongly")
	}
	if c.Param("ts") != "1" || c.Param("error") != "stale" || c.Param("realm") != "" {
		t.Error("Param finds the wrong value")
	}
	if got, want := c.String(), `Mac error="stale", ts="1"`; got != want {
		t.Errorf("String() = %s, want %s", got, want)
	}
	if got, want := (challenge{Scheme: "A", Token68: "b="}).String(), "A b="; got != want {
		t.Errorf("String() = %s, want %s", got, want)
	}
}

func TestQuote(t *testing.T) {
	for _, tt := range []struct{ reason, s, want string }{
		{"nothing", "", `""`},
		{"plain", "a b", `"a b"`},
		{"both that need an escape", `a"\b`, `"a\"\\b"`},
		{"a tab may stay", "a\tb", "\"a\tb\""},
		{"no control character gets through, C19", "a\r\nb\x00\x7f", `"a  b  "`},
		{"bytes above ASCII are obs-text", "ü", `"ü"`},
	} {
		if got := authparam.Quote(tt.s); got != tt.want {
			t.Errorf("%s: Quote(%q) = %s, want %s", tt.reason, tt.s, got, tt.want)
		}
	}
}
