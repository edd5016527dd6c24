package authparam_test

import (
	"strings"
	"testing"

	"github.com/countersign-go/countersign/internal/authparam"
)

func TestIsFor(t *testing.T) {
	for _, tt := range []struct {
		reason, field, scheme string
		want                  bool
	}{
		{"credentials", `MAC id="1"`, "MAC", true},
		{"in another case", `mac id="1"`, "MAC", true},
		{"behind blanks", " \tMAC id=1", "MAC", true},
		{"the scheme alone", "MAC", "MAC", true},
		{"a tab for the space", "MAC\tid=1", "MAC", true},
		{"a colon, as in a header line", `MAC: id="1"`, "MAC", true},
		{"a colon and no space", "Bearer:dG9rZW4", "Bearer", true},
		{"no space before a parameter", `MACid="1"`, "MAC", true},
		{"nor before one with blanks around its equals sign", `MACid ="1"`, "MAC", true},
		{"no space before a token", "BearerdG9rZW4", "Bearer", true},
		{"and a blank behind it", "BearerdG9rZW4 ", "Bearer", true},
		{"a token with padding", "BasicZG9nOmNhdA==", "Basic", true},
		{"a JSON Web Token", "BearereyJh.eyJz.c2ln", "Bearer", true},
		{"a comma", "MAC,id=1", "MAC", true},
		{"a semicolon", "MAC;id=1", "MAC", true},
		{"a quote", `MAC"id"`, "MAC", true},
		{"a slash", "MAC/1 id=1", "MAC", true},
		{"another scheme", "Basic ZG9nOmNhdA==", "MAC", false},
		{"another scheme with our name at its start", "Macaroon dG9rZW4", "MAC", false},
		{"and with parameters", `MAC-SHA256 id="1"`, "MAC", false},
		{"and with a token with padding", "BearerX dG9rZW4=", "Bearer", false},
		{"our name as a parameter", `Digest mac="1"`, "MAC", false},
		{"a part of our name", "MA id=1", "MAC", false},
		{"nothing", "", "MAC", false},
	} {
		if got := authparam.IsFor(tt.field, tt.scheme); got != tt.want {
			t.Errorf("%s: IsFor(%q, %q) = %t", tt.reason, tt.field, tt.scheme, got)
		}
	}
}

func TestCut(t *testing.T) {
	for _, tt := range []struct {
		reason, field, want string
		ok                  bool
	}{
		{"credentials", "Bearer dG9rZW4", "dG9rZW4", true},
		{"in another case, and several spaces", "bearer   dG9rZW4", "dG9rZW4", true},
		{"none", "Bearer ", "", true},
		{"the scheme alone", "Bearer", "", false},
		{"no space", "BearerdG9rZW4", "", false},
		{"a tab for the space", "Bearer\tdG9rZW4", "", false},
		{"a colon", "Bearer: dG9rZW4", "", false},
		{"another scheme", "BearerX dG9rZW4", "", false},
	} {
		if got, ok := authparam.Cut(tt.field, "Bearer"); got != tt.want || ok != tt.ok {
			t.Errorf("%s: Cut(%q) = %q, %t", tt.reason, tt.field, got, ok)
		}
	}
}

func TestNames(t *testing.T) {
	for _, tt := range []struct {
		reason, line string
		want         bool
	}{
		{"alone", `Bearer error="invalid_token" error_description="no comma"`, true},
		{"in another case", `bearer realm="a`, true},
		{"behind another", `Negotiate {}, Bearer realm="a"`, true},
		{"without a comma", `Basic realm="a" Bearer realm="b"`, true},
		{"no space before a parameter", `Bearererror="invalid_token"`, true},
		{"a colon", `Bearer: error="invalid_token"`, true},
		{"another scheme with our name at its start", `BearerX {`, false},
		{"in a text", `Negotiate {} text="the Bearer token is over`, false},
		{"as a value", `Basic realm=Bearer {`, false},
		{"not at all", `@`, false},
	} {
		if _, err := authparam.Parse([]string{tt.line}); err == nil {
			t.Errorf("%s: %q is well formed", tt.reason, tt.line)
		}
		for _, lines := range [][]string{{tt.line}, {"Negotiate", tt.line}, {tt.line, "X"}} {
			if got := authparam.Names(lines, "Bearer"); got != tt.want {
				t.Errorf("%s: Names(%q) = %t", tt.reason, lines, got)
			}
		}
	}
	if authparam.Names([]string{"Negotiate,", " Basic"}, "Bearer") {
		t.Error("found where it is not")
	}
	long := "Bearer realm=\"" + strings.Repeat("a", 16<<10) + "\""
	if !authparam.Names([]string{long}, "Bearer") {
		t.Error("a line that is too long to be parsed is not found")
	}
}
