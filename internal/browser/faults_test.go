package browser

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// The checks must find the faults of these pages. Otherwise it would mean little that they find
// none elsewhere.
func TestFaultsAreFound(t *testing.T) {
	t.Parallel()
	const good = `<p><a href="/">A link</a></p><p><button class="b">A button</button></p>`
	pages := map[string]struct{ style, body, fault string }{
		"good":      {"", good, ""},
		"wide":      {"", good + `<p style="width: 500px">wide</p>`, "px wide in a window of 360"},
		"narrow":    {"", good + `<p style="width: 320px">wide</p>`, "px wide in a window of 320"},
		"unfocused": {":focus { outline: 0 }", good, "has no outline"},
		"faint": {":focus-visible { outline: 3px solid light-dark(#ccc, #333) }", good,
			"below 3"},
		"thin":   {":focus-visible { outline: 1px solid light-dark(#000, #fff) }", good, "thinner"},
		"hidden": {"a { position: absolute; left: -999px }", good, "is outside of the window"},
		"covered": {"div { position: fixed; inset: 0; background: light-dark(#fff, #000) }",
			good + "<div></div>", "is covered"},
		"order": {"", `<p><a href="/" tabindex="2">One</a> or <a href="/" tabindex="1">two</a></p>`,
			"has a tabindex above 0"},
		"small":    {".b { min-height: 0; height: 30px }", good, "hard to hit"},
		"contrast": {"p { color: #999; background: #fff }", good, "color-contrast"},
		"label":    {"", good + `<input class="b">`, "axe-core: label"},
		"dark": {"@media (prefers-color-scheme: dark) { p { color: #555 } }", good + "<p>Text</p>",
			"dark: axe-core"},
		"console": {"", good + `<script>console.log("x")</script>`, "wrote to the console"},
		"throws":  {"", good + `<script>throw 1</script>`, "an exception"},
		"policy": {"", good + `<img alt="A picture" src="/good">`,
			"ContentSecurityPolicyIssue img-src"},
		"away": {"", good + `<script>fetch("http://127.0.0.1:9/")</script>`,
			"a request to http://127.0.0.1:9/"},
		"missing": {"", good + `<script>fetch("/nowhere")</script>`, "status 404"},
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		page, ok := pages[strings.TrimPrefix(req.URL.Path, "/")]
		if !ok {
			http.NotFound(w, req)
			return
		}
		w.Header().Set("Content-Security-Policy",
			"default-src 'unsafe-inline'; img-src data:; connect-src *")
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprintf(w, `<!DOCTYPE html><html lang="en"><title>Faults</title>
<meta name="viewport" content="width=device-width"><link rel="icon" href="data:,">
<style>:root { color-scheme: light dark; background: light-dark(#fff, #111) }
body { color: light-dark(#000, #eee) } a { color: light-dark(#00c, #9cf) }
body { margin: 8px } a { display: inline-block }
a, .b { min-height: 44px } %s</style><main><h1>Faults</h1>%s</main></html>`, page.style, page.body)
	}))
	defer server.Close()
	p := newPerson(t, "faults", phone, server.URL)
	for name, page := range pages {
		p.story = "faults-" + name
		if status := p.open(server.URL + "/" + name); status != 200 {
			t.Fatalf("%s: status %d", name, status)
		}
		faults := append(p.faults("page"), p.watch.take()...)
		found := func(fault string) bool { return strings.Contains(fault, page.fault) }
		if page.fault == "" && len(faults) > 0 || !slices.ContainsFunc(faults, found) &&
			page.fault != "" {
			t.Errorf("%s: %q; want %q", name, faults, page.fault)
		}
	}
}
