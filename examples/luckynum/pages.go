package main

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/countersign-go/countersign/mac"
	"github.com/countersign-go/countersign/provision"
	"github.com/countersign-go/countersign/provision/issue"
)

//go:embed style.css
var style []byte

//go:embed templates
var templates embed.FS

// The pages. Each is a template inside the layout.
var (
	welcomePage = parsePage("welcome.html")
	numberPage  = parsePage("number.html")
	keyPage     = parsePage("key.html")
	revokedPage = parsePage("revoked.html")
	problemPage = parsePage("problem.html")
)

func parsePage(name string) *template.Template {
	t := template.New("layout.html").Funcs(template.FuncMap{
		"short": short, "when": when, "moment": moment, "segment": url.PathEscape,
	})
	return template.Must(t.ParseFS(templates, "templates/layout.html", "templates/"+name))
}

// A page has the values for a template. The template escapes them.
type page struct {
	Title string
	Home  string // the path of the first page, which ends in a slash
	Enter string // the URL to log in at
	Leave bool   // whether the user can log out
	User  string // the user who is logged in; "" if none

	Number  int
	HasList bool // whether the service can list the user's keys
	Keys    []issue.Entry

	Key     *newKey
	Problem string // the error, in a sentence
}

// A newKey is a credential that was just made.
type newKey struct {
	ID, Key string
	Expires time.Time

	File    template.URL // the credential as a file to save
	Get     string       // the command that uses the file
	Program string       // a program that uses the file
	Source  template.URL // the program as a file to save
	Call    string       // the command that gets another credential
}

// explain sets the fields that show how to use the credential at the service's address.
func (k *newKey) explain(at *url.URL, user string, c *mac.Credentials) error {
	file, err := provision.Marshal(c)
	if err != nil {
		return err
	}
	k.File = fileURL("application/json", string(file)+"\n")
	k.Get = "luckynum get --credentials luckynum.json " + quoteShell(at.String())
	if k.Program, err = writeProgram(at.String()); err != nil {
		return err
	}
	k.Source = fileURL("text/x-go", k.Program)
	k.Call = "curl --request POST --user " + quoteShell(user) + " " +
		quoteShell(at.JoinPath("provision").String())
	return nil
}

// fileURL returns a URL that holds a file, so that a browser can save it without another request:
// the service shows a key once.
func fileURL(kind, text string) template.URL {
	//nolint:gosec // PathEscape leaves nothing that could end the attribute or the URL
	return template.URL("data:" + kind + ";charset=utf-8," + url.PathEscape(text))
}

func quoteShell(text string) string {
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

// short returns the start of an id, enough to distinguish it from others.
func short(id string) string {
	const enough = 8
	if len(id) <= enough {
		return id
	}
	return id[:enough] + "…"
}

func when(t time.Time) string   { return t.UTC().Format("2 January 2006, 15:04 UTC") }
func moment(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// show answers with a page.
func (s *website) show(w http.ResponseWriter, status int, t *template.Template, p *page) {
	at := s.address()
	// A login belongs to the host at which it began, so use the address to which it leads back.
	p.Home, p.Enter = at.Path, at.JoinPath("login").String()
	p.Leave = s.people.leave != nil
	var b bytes.Buffer
	if err := t.Execute(&b, p); err != nil {
		http.Error(w, "the page cannot be shown", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes())
}

func showStyle(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	w.Header().Set("Cache-Control", "max-age=300")
	_, _ = w.Write(style)
}

// pages sets the header fields that all answers have. If next answers with an error, it shows
// people a page instead.
func (s *website) pages(next http.Handler) http.Handler {
	forms := strings.TrimSpace("'self' " + s.people.forms)
	policy := "default-src 'none'; style-src 'self'; form-action " + forms +
		"; frame-ancestors 'none'; base-uri 'none'"
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("Referrer-Policy", "same-origin") // with less, the origin of forms is not known
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-store")
		h.Add("Vary", "Accept, Authorization, Cookie")
		if !wantsPage(req) {
			next.ServeHTTP(w, req)
			return
		}
		p := &problemWriter{ResponseWriter: w}
		next.ServeHTTP(p, req)
		if p.status != 0 {
			s.show(w, p.status, problemPage, problem(p.status, string(p.text)))
		}
	})
}

// A problemWriter holds back an error that http.Error writes.
type problemWriter struct {
	http.ResponseWriter

	status int // of the error; 0 if none
	text   []byte
}

func (p *problemWriter) WriteHeader(status int) {
	if status >= 400 && strings.HasPrefix(p.Header().Get("Content-Type"), "text/plain") {
		p.status = status
		return
	}
	p.ResponseWriter.WriteHeader(status)
}

func (p *problemWriter) Write(b []byte) (int, error) {
	if p.status == 0 {
		return p.ResponseWriter.Write(b)
	}
	p.text = append(p.text, b...)
	return len(b), nil
}

var problemTitles = map[int]string{
	http.StatusBadRequest:         "That was not understood",
	http.StatusUnauthorized:       "You are not logged in",
	http.StatusForbidden:          "You may not do this",
	http.StatusNotFound:           "There is no such page",
	http.StatusMethodNotAllowed:   "This page does not accept that request",
	http.StatusGone:               "The key is not shown again",
	http.StatusTooManyRequests:    "Please wait a moment",
	http.StatusServiceUnavailable: "Please try again later",
}

// problem returns the page for an error. The page repeats the text for programs as a sentence,
// unless that says the same as the title.
func problem(status int, text string) *page {
	p := &page{Title: problemTitles[status]}
	if p.Title == "" {
		p.Title = "Something went wrong"
	}
	text = strings.TrimSpace(text)
	same := text == http.StatusText(status) || strings.HasPrefix(text, strconv.Itoa(status))
	if text != "" && !same {
		first, size := utf8.DecodeRuneInString(text)
		p.Problem = string(unicode.ToUpper(first)) + text[size:] + "."
	}
	return p
}
