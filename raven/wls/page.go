package wls

import (
	_ "embed" // for page.html and style.css
	"html"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/countersign-go/countersign/raven"
)

//go:embed style.css
var style string

//go:embed page.html
var pageText string

var pageTemplate = template.Must(template.New("page").Parse(pageText))

// A page holds the values for the template. If a value is empty, the page does not show its part.
type page struct {
	Title string
	Alert string // an error, in a sentence

	Site      string // the host of the site that the user logs in to
	Desc, Msg string // the site's description of itself, and its reason to ask
	User      string // the name that the user typed before
	Known     string // the user who is logged in already, and only has to confirm

	LogOut         string // the user who can log out on this page
	Back, BackHost string // the address of the site that the user came from
}

// backTo sets the address to go back to: the parameter url of the request, which has the same name
// when a user logs in. It becomes a link that names the host, and never a redirect.
func (p *page) backTo(req *http.Request) {
	asked := raven.Request{URL: req.URL.Query().Get("url")}
	if _, err := asked.Query(); err != nil {
		return
	}
	if u, err := url.Parse(asked.URL); err == nil {
		p.Back, p.BackHost = asked.URL, u.Host
	}
}

// ask shows the form.
func (s *Server) ask(w http.ResponseWriter, status int, asked *Request, p *page) {
	p.Title = "Log in"
	// The agent may send entities, and no other markup. They are decoded here, and the template
	// escapes the text again.
	p.Desc, p.Msg = html.UnescapeString(asked.Desc), html.UnescapeString(asked.Msg)
	if u, err := url.Parse(asked.URL); err == nil {
		p.Site = u.Host
		// Browsers hold the redirect after a form to form-action as well.
		secure(w.Header(), self, u.Scheme+"://"+u.Host)
	}
	show(w, status, p)
}

// self is this origin, in a Content-Security-Policy.
const self = "'self'"

// secure sets the header fields of every response. forms are the origins to which a form may lead.
// If empty, the page must not have a form.
func secure(h http.Header, forms ...string) {
	odd := func(origin string) bool {
		return origin != self && strings.ContainsAny(origin, ";, '\"*")
	}
	if len(forms) == 0 || slices.ContainsFunc(forms, odd) {
		forms = []string{"'none'"}
	}
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; form-action "+
		strings.Join(forms, " ")+"; frame-ancestors 'none'; base-uri 'none'")
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "same-origin") // a query holds the agent's params, a secret
	h.Set("X-Content-Type-Options", "nosniff")
}

func show(w http.ResponseWriter, status int, p *page) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	pageTemplate.Execute(w, p) //nolint:errcheck,gosec // the client has gone away
}
