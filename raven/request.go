package raven

import (
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// AuthPassword is the authentication type for a user name and a password, the only one that the
// protocol itself defines. Names of experimental types start with "x-".
const AuthPassword = "pwd"

// Interaction is whether the service may, must or must not ask the user to authenticate.
type Interaction int

// The values of iact. With AsNeeded, the service asks unless the user has already logged in there.
const (
	AsNeeded Interaction = iota
	Must
	MustNot
)

// maxQuery is the longest query, in bytes. In an answer of maxAnswer bytes it leaves 2 KiB for the
// fields that the service adds. A value is not longer in the answer than in the query: % and ! take
// three bytes in both.
const maxQuery = 6 << 10

// timeLayout is the layout of issue and date (section 2): RFC 3339 without its separators, in UTC.
const timeLayout = "20060102T150405Z"

// A Request asks the service to identify the user (section 2 of the protocol). All fields except
// URL are optional; a field that is empty or zero is not sent.
type Request struct {
	// URL is the address to which the service sends its answer. It must be an absolute http or
	// https URL without fragment or user. Required.
	URL string
	// Desc describes the site or page, and Msg is the reason why the user has to log in. The
	// service shows both to the user. They are plain text: Query encodes ampersands and all
	// characters outside ASCII as HTML entities.
	Desc, Msg string
	// Raw means that Desc and Msg are printable ASCII, perhaps with entities, and are sent
	// unchanged. The service itself escapes < and >.
	Raw bool
	// AAuth lists the authentication types, of which the service must use one. If nil, the service
	// may use any of its own. If empty but not nil, Query returns an error, because no user could
	// log in.
	AAuth []string
	// IAct is whether the service may, must or must not ask the user to authenticate.
	IAct Interaction
	// Params comes back unchanged in the answer. It passes through the browser, so the user can
	// read it. It must not contain control characters.
	Params string
	// Date is the time by the site's clock. It helps the operator of the service to notice a wrong
	// clock.
	Date time.Time
	// Fail asks the service to show a failure to the user itself, instead of sending an answer.
	Fail bool
}

// Query returns the request as the query of a URL, without the question mark. The caller appends it
// to the LoginURL of a [Service]. The error wraps [ErrRequest].
func (r *Request) Query() (string, error) {
	if err := checkURL(r.URL); err != nil {
		return "", err
	}
	desc, err := r.display("desc", r.Desc)
	if err != nil {
		return "", err
	}
	msg, err := r.display("msg", r.Msg)
	if err != nil {
		return "", err
	}
	aauth, err := authTypes(r.AAuth)
	if err != nil {
		return "", err
	}
	iact, err := r.IAct.word()
	if err != nil {
		return "", err
	}
	if !plain(r.Params) {
		return "", badRequest("params has a control character, or is not UTF-8; encode it first")
	}
	date, err := formatTime(r.Date)
	if err != nil {
		return "", err
	}
	fail := ""
	if r.Fail {
		fail = "yes"
	}
	var query strings.Builder
	query.WriteString("ver=3")
	for _, field := range [...][2]string{
		{"url", r.URL}, {"desc", desc}, {"aauth", aauth}, {"iact", iact}, {"msg", msg},
		{"params", r.Params}, {"fail", fail}, {"date", date},
	} {
		if field[1] != "" {
			query.WriteString("&" + field[0] + "=" + url.QueryEscape(field[1]))
		}
	}
	if query.Len() > maxQuery {
		return "", badRequest("it has over %d bytes; shorten url, params, desc or msg", maxQuery)
	}
	return query.String(), nil
}

// checkURL returns an error for a URL that the protocol forbids, and for one that browsers do not
// bring back unchanged: with a fragment, a user or a blank.
func checkURL(text string) error {
	if !plain(text) || strings.ContainsAny(text, "# ") {
		return badRequest("url has a fragment, a blank or a control character, or is not UTF-8")
	}
	u, err := url.Parse(text)
	if err != nil {
		return badRequest("url cannot be parsed") // the error of package url would contain the URL
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil {
		return badRequest("url is not an absolute http or https URL without user")
	}
	return nil
}

// display returns a text for people in the form in which it is sent (section 2: printable ASCII
// with HTML entities).
func (r *Request) display(name, text string) (string, error) {
	if !utf8.ValidString(text) {
		return "", badRequest("%s is not UTF-8", name)
	}
	if !r.Raw {
		text = entities(text)
	}
	for i := range len(text) {
		if text[i] < 0x20 || text[i] > 0x7e {
			return "", badRequest("%s has characters that cannot be printed", name)
		}
	}
	return text, nil
}

func entities(text string) string {
	var out strings.Builder
	for _, c := range text {
		switch {
		case c == '&':
			out.WriteString("&amp;")
		case c > 0x7f:
			out.WriteString("&#" + strconv.Itoa(int(c)) + ";")
		default:
			out.WriteRune(c)
		}
	}
	return out.String()
}

func authTypes(types []string) (string, error) {
	if types == nil {
		return "", nil
	}
	if len(types) == 0 {
		return "", badRequest("aauth is empty, so nobody could log in; nil means any type")
	}
	for _, t := range types {
		if !isAuthType(t) {
			return "", badRequest("aauth has a name outside [A-Za-z0-9._-]+")
		}
	}
	return strings.Join(types, ","), nil
}

func isAuthType(name string) bool {
	for i := range len(name) {
		switch c := name[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '-', c == '.', c == '_':
		default:
			return false
		}
	}
	return name != ""
}

func (i Interaction) word() (string, error) {
	switch i {
	case AsNeeded:
		return "", nil
	case Must:
		return "yes", nil
	case MustNot:
		return "no", nil
	default:
		return "", badRequest("iact is not one of AsNeeded, Must and MustNot")
	}
}

func formatTime(t time.Time) (string, error) {
	if t.IsZero() {
		return "", nil
	}
	t = t.UTC()
	if t.Year() < 0 || t.Year() > 9999 {
		return "", badRequest("date has no year of four digits")
	}
	return t.Format(timeLayout), nil
}

// plain reports whether text is UTF-8 without control characters of ASCII.
func plain(text string) bool {
	for i := range len(text) {
		if text[i] < 0x20 || text[i] == 0x7f {
			return false
		}
	}
	return utf8.ValidString(text)
}
