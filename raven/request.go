package raven

import (
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// AuthPassword is the authentication type of a user name and a password, the only one that the
// protocol itself defines. Names of experimental types start with "x-".
const AuthPassword = "pwd"

// Interaction says whether the service may, must or must not ask the user to prove who he is.
type Interaction int

// The values of iact. The zero value leaves it to the service, which asks unless the user has
// logged in before.
const (
	AsNeeded Interaction = iota
	Must
	MustNot
)

// maxQuery leaves, in an answer of maxAnswer bytes, 2 KiB for what the service adds. No value is
// longer in the answer than in the query, where % and ! take three bytes as well.
const maxQuery = 6 << 10

// timeLayout is that of issue and date (section 2): RFC 3339 without its separators, in UTC.
const timeLayout = "20060102T150405Z"

// A Request asks the service to say who the user is (section 2 of the protocol). All fields but URL
// are optional, and "" means none.
type Request struct {
	// URL is where the answer goes to: http or https, absolute, and without fragment or user.
	URL string
	// Desc describes the site or page, and Msg says why the user has to log in. Both are shown to
	// him. They are plain text: what HTML would read as an entity, or is outside ASCII, is encoded.
	Desc, Msg string
	// Raw means that Desc and Msg are printable ASCII, perhaps with entities, and are sent as they
	// are. The service itself makes < and > harmless.
	Raw bool
	// AAuth lists the authentication types of which the service is to use one. Nil means that any
	// of its own will do; an empty list is an error, as nobody could log in.
	AAuth []string
	// IAct says whether the user is to be asked.
	IAct Interaction
	// Params comes back in the answer as it is. It passes through the browser, so it is no secret
	// from the user. It has no control characters.
	Params string
	// Date is the time of the site, which helps the operator to find a wrong clock.
	Date time.Time
	// Fail asks the service to tell the user itself about a failure, and not to answer.
	Fail bool
}

// Query returns the request as the query of a URL, without the question mark. The caller puts it
// behind the LoginURL of a [Service]. The error wraps [ErrRequest].
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

// checkURL refuses, besides what the protocol does, what no browser brings back as it was: a
// fragment, a user and white space.
func checkURL(text string) error {
	if !plain(text) || strings.ContainsAny(text, "# ") {
		return badRequest("url has a fragment, a blank or a control character, or is not UTF-8")
	}
	u, err := url.Parse(text)
	if err != nil {
		return badRequest("url cannot be parsed") // the error of package url would repeat it
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil {
		return badRequest("url is not an absolute http or https URL without user")
	}
	return nil
}

// display returns a text for people as it is sent (section 2: printable ASCII with HTML entities).
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
		return "", badRequest("iact is none of AsNeeded, Must and MustNot")
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
