package wls

import (
	"errors"
	"net/url"
	"strings"
	"time"

	"github.com/countersign-go/countersign/raven"
)

// A Request is a request of an agent. Its Desc and Msg still have the entities that were sent, and
// Raw is set.
type Request struct {
	raven.Request

	Version int // 1, 2 or 3
}

// newest is the highest version of the protocol that this service speaks.
const newest = 3

// timeLayout is the layout of date and issue (section 2).
const timeLayout = "20060102T150405Z"

// read parses the query of a request (section 2 of the protocol). It accepts a Version above
// newest, so that the Server can report that version to the agent.
func read(query string) (*Request, error) {
	values, err := split(query)
	if err != nil {
		return nil, err
	}
	r := &Request{Request: raven.Request{
		URL: values["url"], Desc: values["desc"], Msg: values["msg"], Raw: true,
		Params: values["params"],
	}}
	if r.Version, err = version(values["ver"]); err != nil {
		return nil, err
	}
	if types := values["aauth"]; types != "" {
		r.AAuth = strings.Split(types, ",")
	}
	switch values["iact"] {
	case "":
	case "yes":
		r.IAct = raven.Must
	case "no":
		r.IAct = raven.MustNot
	default:
		return nil, errors.New("iact is neither yes nor no")
	}
	switch values["fail"] {
	case "":
	case "yes":
		r.Fail = true
	default:
		return nil, errors.New("fail is not yes")
	}
	if date := values["date"]; date != "" {
		r.Date, err = time.Parse(timeLayout, date)
		if err != nil || r.Date.Format(timeLayout) != date { // Parse also accepts a fraction
			return nil, errors.New("date is not YYYYMMDDThhmmssZ")
		}
	}
	// A request that package raven would refuse to write is refused here, too.
	if _, err := r.Query(); err != nil {
		return nil, err
	}
	return r, nil
}

// split parses a query by the rules of the protocol: each name must be known and occur once, and a
// semicolon is also a separator.
func split(query string) (map[string]string, error) {
	values := make(map[string]string)
	separator := func(c rune) bool { return c == '&' || c == ';' }
	for pair := range strings.FieldsFuncSeq(query, separator) {
		name, value, _ := strings.Cut(pair, "=")
		switch name {
		case "ver", "url", "desc", "aauth", "iact", "msg", "params", "date", "skew", "fail":
		default:
			return nil, errors.New("there is a parameter that the protocol does not have")
		}
		if _, ok := values[name]; ok {
			return nil, errors.New("the parameter " + name + " is there twice")
		}
		text, err := url.QueryUnescape(value)
		if err != nil {
			return nil, errors.New("the parameter " + name + " is not encoded as a form")
		}
		values[name] = text
	}
	return values, nil
}

func version(text string) (int, error) {
	if text == "" {
		return 0, errors.New("ver is missing")
	}
	if len(text) > 3 || text[0] == '0' || strings.Trim(text, "0123456789") != "" {
		return 0, errors.New("ver is not a number")
	}
	number := 0
	for i := range len(text) {
		number = 10*number + int(text[i]-'0')
	}
	return number, nil
}
