package wls

import (
	_ "embed" // of the page and its style
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

// A page is what a person sees.
type page struct {
	Title string
	Alert string // what went wrong; "" if nothing did

	Site      string // the host that asks; "" if there is nothing to log in to
	Desc, Msg string // what it says of itself, and why it asks
	User      string // what was typed in before
	Known     string // who has logged in before, and only has to go on

	LogOut         string // the user who can log out here; "" if there is none
	Back, BackHost string // the address of the site to go back to; "" if it is not known
}

// backTo sets the address to go back to, which is the parameter url of a request, as it is when a
// user logs in. It becomes a link that names the host, and never a redirect.
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
	// Of markup the agent can send entities only. They are decoded here and the template encodes
	// everything that needs it.
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

// secure sets the header fields that every answer has. forms are the origins to which a form may
// lead. Without any there is no form.
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
	h.Set("Referrer-Policy", "same-origin") // a query holds what the agent keeps from others
	h.Set("X-Content-Type-Options", "nosniff")
}

func show(w http.ResponseWriter, status int, p *page) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	pageTemplate.Execute(w, p) //nolint:errcheck,gosec // no client is left to be told
}
