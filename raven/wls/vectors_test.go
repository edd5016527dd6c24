package wls_test

import (
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/countersign-go/countersign/raven"
	"github.com/countersign-go/countersign/raven/wls"
)

func TestRequestVectors(t *testing.T) {
	v := loadVectors(t)
	rows := 0
	for _, c := range v.Requests {
		rows++
		t.Run(c.Name, func(t *testing.T) {
			var got *wls.Request
			server := newServer()
			server.Decide = func(_ *http.Request, asked *wls.Request) *raven.Response {
				got = asked
				return nil
			}
			b := newBrowser(t, server)
			resp := b.get(loginURL + c.Query)
			switch {
			case c.Want == "accept":
				if got == nil {
					t.Fatalf("refused: %s", body(t, resp))
				}
			case got != nil:
				t.Fatalf("accepted, want %s", c.Error)
			case c.Error == "unsupported_version":
				answer := b.answered(resp)
				if answer.Status != raven.StatusUnsupportedVersion || answer.Version != 1 {
					t.Errorf("%v in version %d", answer.Status, answer.Version)
				}
				return
			default:
				if resp.StatusCode != http.StatusBadRequest {
					t.Errorf("status %s, want 400", resp.Status)
				}
				return
			}
			f := c.Fields
			iact := raven.AsNeeded
			if f.Iact != nil {
				iact = map[bool]raven.Interaction{true: raven.Must, false: raven.MustNot}[*f.Iact]
			}
			if got.Version != f.Ver || got.URL != f.URL || got.Desc != f.Desc || got.Msg != f.Msg ||
				got.Params != f.Params || !slices.Equal(got.AAuth, f.AAuth) || got.IAct != iact ||
				got.Fail != f.Fail {
				t.Errorf("%+v, want %+v", got, f)
			}
		})
	}
	if rows != 17 {
		t.Errorf("ran %d rows, want 17", rows)
	}
}

func TestResponseVectors(t *testing.T) {
	v := loadVectors(t)
	const params = "dG9rZW4tdG9rZW4tdG9rZW4x"
	rows := 0
	for _, c := range v.Responses {
		rows++
		t.Run(c.Name, func(t *testing.T) {
			in := c.Input
			r := &raven.Response{
				Version: in.Ver, Status: raven.Status(in.Code), Msg: in.Msg,
				Issue: time.Unix(in.Issue, 0), ID: in.ID, Principal: in.Principal,
				PTags: in.PTags, Auth: in.Auth, SSO: in.SSO, KeyID: in.KID,
			}
			if in.Life != nil {
				r.Life, r.HasLife = time.Duration(*in.Life)*time.Second, true
			}
			server := &wls.Server{
				Key:    v.private(t, in.KID),
				KeyID:  in.KID,
				Decide: func(*http.Request, *wls.Request) *raven.Response { return r },
			}
			resp := newBrowser(t, server).get(loginURL +
				query(t, raven.Request{URL: in.URL, Params: params}))
			if got := resp.Header.Get("Location"); got != c.ReturnURL {
				t.Errorf("\n got %s\nwant %s", got, c.ReturnURL)
			}
			to, err := url.Parse(c.ReturnURL)
			if err != nil {
				t.Fatal(err)
			}
			r.URL, r.Params = in.URL, params
			text, err := wls.Sign(r, server.Key)
			if err != nil || text != c.Response || text != to.Query().Get("WLS-Response") {
				t.Errorf("%v\n got %s\nwant %s", err, text, c.Response)
			}
		})
	}
	if rows != 6 {
		t.Errorf("ran %d rows, want 6", rows)
	}
}
