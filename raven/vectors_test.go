package raven_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/countersign-go/countersign/raven"
)

// requestDecisions are the rows of request_cases with another result here, and the reasons. The
// test fails if such a row starts to behave as recorded, and if another row stops to.
var requestDecisions = map[string]struct{ query, why string }{
	"empty description": {"ver=3&url=https%3A%2F%2Fapp.example.org%2Fsecret",
		"an empty string in a struct is an absent one, as an empty value is in the protocol"},
	"params empty": {"ver=3&url=https%3A%2F%2Fapp.example.org%2Fsecret",
		"the same"},
}

func TestRequestVectors(t *testing.T) {
	v := loadVectors(t)
	rows, decided := 0, 0
	for _, c := range v.RequestCases {
		rows++
		t.Run(c.Name, func(t *testing.T) {
			got, err := c.request().Query()
			if d, ok := requestDecisions[c.Name]; ok {
				decided++
				if got != d.query || err != nil || got == c.Query {
					t.Errorf("%q, %v, want %q (%s)", got, err, d.query, d.why)
				}
				return
			}
			if got != c.Query {
				t.Errorf("\n got %s\nwant %s", got, c.Query)
			}
			if (c.Want == "reject") != errors.Is(err, raven.ErrRequest) {
				t.Errorf("%v, want %s %s", err, c.Want, c.Error)
			}
			if text := requestErrors[c.Error]; err != nil && !strings.Contains(err.Error(), text) {
				t.Errorf("%v, want %s", err, text)
			}
		})
	}
	if want := len(v.RequestCases); rows != want || rows != 34 || decided != len(requestDecisions) {
		t.Errorf("ran %d of %d rows, decided %d of %d", rows, want, decided, len(requestDecisions))
	}
}

// requestErrors maps each error of the vectors to a part of the error text here.
var requestErrors = map[string]string{
	"bad_url":       "url ",
	"not_printable": "character",
	"empty_aauth":   "aauth is empty",
	"bad_iact":      "iact is not one of",
}

func (c *requestCase) request() *raven.Request {
	in := c.Input
	r := &raven.Request{
		URL: in.URL, Desc: value(in.Desc), Msg: value(in.Msg), Params: value(in.Params),
		AAuth: in.AAuth, Raw: !in.Encode, Fail: in.Fail != nil && *in.Fail,
	}
	switch in.Iact {
	case nil:
	case true:
		r.IAct = raven.Must
	case false:
		r.IAct = raven.MustNot
	default:
		r.IAct = raven.Interaction(7)
	}
	return r
}

// responseErrors maps each error of the vectors to the error here, and to a part of its text.
var responseErrors = map[string]struct {
	reason error
	text   string
}{
	"bad_version":          {raven.ErrMalformed, ": ver "},
	"field_count":          {raven.ErrMalformed, " fields"},
	"bad_status":           {raven.ErrMalformed, ": status "},
	"bad_issue":            {raven.ErrMalformed, ": issue "},
	"missing_id":           {raven.ErrMalformed, ": id is empty"},
	"missing_url":          {raven.ErrMalformed, ": url is empty"},
	"bad_escape":           {raven.ErrMalformed, "percent sign"},
	"bad_token":            {raven.ErrMalformed, "ptags has an empty member"},
	"bad_life":             {raven.ErrMalformed, ": life "},
	"bad_base64":           {raven.ErrMalformed, ": sig is not base64"},
	"kid_sig_mismatch":     {raven.ErrMalformed, "only one of kid and sig"},
	"missing_principal":    {raven.ErrMalformed, "principal is empty"},
	"no_auth_or_sso":       {raven.ErrMalformed, "auth and sso are empty"},
	"unexpected_principal": {raven.ErrMalformed, "principal is not empty"},
	"unexpected_ptags":     {raven.ErrMalformed, "ptags is not empty"},
	"unexpected_auth":      {raven.ErrMalformed, "auth is not empty"},
	"unexpected_sso":       {raven.ErrMalformed, "sso is not empty"},
	"unexpected_life":      {raven.ErrMalformed, "life is not empty"},
	"unsigned_success":     {raven.ErrUnsigned, ""},
	"unknown_kid":          {raven.ErrUnknownKey, ""},
	"bad_signature":        {raven.ErrSignature, ""},
	"unknown_auth_type":    {raven.ErrAuthType, ""},
}

// responseDecisions are the rows of response_cases that are refused here for a reason other than
// the recorded one.
var responseDecisions = map[string]struct {
	reason error
	why    string
}{
	"sso with a blank token": {raven.ErrMalformed, "no list has an empty member"},
}

func TestResponseVectors(t *testing.T) {
	v := loadVectors(t)
	rows, decided := 0, 0
	for _, c := range v.ResponseCases {
		rows++
		t.Run(c.Name, func(t *testing.T) {
			s := v.service(t, c.Kids...)
			s.PTags, s.AuthTypes = c.OldPTags, c.AuthTypes
			got, err := s.Parse(c.Raw)
			if c.Want == "accept" {
				if err != nil {
					t.Fatal(err)
				}
				c.compare(t, got)
				return
			}
			if got != nil {
				t.Errorf("an answer beside the error: %+v", got)
			}
			want, known := responseErrors[c.Error]
			if !known {
				t.Fatalf("no error stands for %q", c.Error)
			}
			if d, ok := responseDecisions[c.Name]; ok {
				decided++
				if errors.Is(err, want.reason) {
					t.Errorf("%v, as recorded, though %s", err, d.why)
				}
				want.reason, want.text = d.reason, ""
			}
			if !errors.Is(err, want.reason) || !strings.Contains(err.Error(), want.text) {
				t.Errorf("%v, want %v %s", err, want.reason, want.text)
			}
		})
	}
	if want := len(v.ResponseCases); rows != 131 || rows != want {
		t.Errorf("ran %d of %d rows", rows, want)
	}
	if want := len(responseDecisions); decided != want {
		t.Errorf("decided %d of %d", decided, want)
	}
}

func (c *responseCase) compare(t *testing.T, got *raven.Response) {
	f := c.Fields
	for _, field := range []struct {
		name      string
		got, want any
	}{
		{"version", got.Version, f.Ver},
		{"status", got.Status, raven.Status(f.Status)},
		{"status name", got.Status.String(), f.StatusName},
		{"success", got.Status == raven.StatusSuccess, f.Success},
		{"msg", got.Msg, value(f.Msg)},
		{"issue", got.Issue, time.Unix(f.IssueUnix, 0).UTC()},
		{"id", got.ID, f.ID},
		{"url", got.URL, f.URL},
		{"principal", got.Principal, value(f.Principal)},
		{"auth", got.Auth, value(f.Auth)},
		{"params", got.Params, f.Params},
		{"kid", got.KeyID, value(f.KID)},
		{"signed", got.KeyID != "", f.Signed},
		{"has life", got.HasLife, f.Life != nil},
	} {
		if field.got != field.want {
			t.Errorf("%s: %v, want %v", field.name, field.got, field.want)
		}
	}
	if f.Life != nil && got.Life != time.Duration(*f.Life)*time.Second {
		t.Errorf("life: %v, want %d s", got.Life, *f.Life)
	}
	for name, lists := range map[string][2][]string{
		"ptags": {got.PTags, f.PTags}, "sso": {got.SSO, f.SSO},
	} {
		for _, list := range lists { // the vectors hold sets, in any order
			slices.Sort(list)
		}
		if !slices.Equal(lists[0], lists[1]) {
			t.Errorf("%s: %q, want %q", name, lists[0], lists[1])
		}
	}
}

func TestSatisfiesVectors(t *testing.T) {
	v := loadVectors(t)
	rows := 0
	for _, c := range v.IactCases {
		rows++
		iact := raven.AsNeeded
		if c.Iact != nil {
			iact = raven.MustNot
			if *c.Iact {
				iact = raven.Must
			}
		}
		r := &raven.Response{Status: raven.StatusSuccess, Auth: value(c.Auth), SSO: c.SSO}
		if got := r.Satisfies(iact, c.AAuth); got != c.Want {
			t.Errorf("auth %q, sso %q, iact %d, aauth %q: %v", r.Auth, r.SSO, iact, c.AAuth, got)
		}
	}
	if rows != len(v.IactCases) || rows != 132 {
		t.Errorf("ran %d of %d rows", rows, len(v.IactCases))
	}
}
