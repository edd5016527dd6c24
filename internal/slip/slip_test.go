package slip_test

import (
	"strings"
	"testing"

	"github.com/countersign-go/countersign/internal/slip"
)

func TestOf(t *testing.T) {
	for _, tt := range []struct{ reason, value, want string }{
		{"an environment variable that is not set", "", "is empty"},
		{"a file that an editor wrote", "dG9rZW4\n", "ends in a line feed: trim it"},
		{"of another system", "dG9rZW4\r\n", "ends in a line feed: trim it"},
		{"two line feeds", "dG9rZW4\n\n", "ends in a line feed: trim it"},
		{"a line feed alone", "\n", "ends in a line feed: trim it"},
		{"a blank behind it", "dG9rZW4 ", "white space: trim it"},
		{"a blank before it", " dG9rZW4", "white space: trim it"},
		{"a byte order mark", "\ufeffdG9rZW4", "byte order mark"},
		{"a copied header", "Bearer dG9rZW4", "begins with the name of its scheme, Bearer"},
		{"in another case", "bearer dG9rZW4", "begins with the name of its scheme, Bearer"},
		{"with a colon", "Bearer:dG9rZW4", "begins with the name of its scheme, Bearer"},
		{"quotes of a shell", `"dG9rZW4"`, "between quotes"},
		{"other quotes", `'dG9rZW4'`, "between quotes"},
		{"several lines", "dG9rZW4\ndG9rZW4", "several lines"},
		{"nothing wrong", "dG9rZW4", ""},
		{"a word that begins like the scheme", "Bearer2dG9rZW4", ""},
		{"the scheme alone", "Bearer", ""},
		{"a quote alone", `"`, ""},
		{"a colon first", ":dG9rZW4", ""},
	} {
		got := slip.Of(tt.value, "", "Bearer")
		if !strings.Contains(got, tt.want) || (got == "") != (tt.want == "") {
			t.Errorf("%s: %q, want %q", tt.reason, got, tt.want)
		}
		if strings.Contains(got, "dG9rZW4") {
			t.Errorf("%s: the value is in %q", tt.reason, got)
		}
	}
}
