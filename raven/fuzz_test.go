package raven_test

import (
	"crypto/rsa"
	"net/url"
	"strings"
	"testing"

	"github.com/countersign-go/countersign/raven"
	"github.com/countersign-go/countersign/raven/wls"
)

// An oracle signs and writes again an answer that Parse read. RSASSA-PKCS1-v1_5 is deterministic,
// so the text must be the same.
type oracle struct {
	service *raven.Service
	private map[string]*rsa.PrivateKey
}

func newOracle(tb testing.TB, v *vectors) *oracle {
	s := v.service(tb, "1", "2")
	s.AuthTypes = []string{"pwd", "x-card"}
	return &oracle{s, map[string]*rsa.PrivateKey{"1": v.private(tb, "1"), "2": v.private(tb, "2")}}
}

// check fails if an answer that parses has a second spelling, or breaks a rule between its fields.
func (o *oracle) check(t *testing.T, answer string) {
	r, err := o.service.Parse(answer)
	if err != nil {
		if r != nil {
			t.Errorf("%+v beside %v", r, err)
		}
		return
	}
	again, err := wls.Sign(r, o.private[r.KeyID])
	if err != nil || again != answer {
		t.Errorf("%v\n read %q\nwrote %q", err, answer, again)
	}
	succeeded := r.Status == raven.StatusSuccess
	if succeeded != (r.Principal != "") || succeeded && r.KeyID == "" ||
		succeeded != r.Satisfies(raven.AsNeeded, nil) || !succeeded && r.HasLife {
		t.Errorf("%q: %+v", answer, r)
	}
}

func FuzzParse(f *testing.F) {
	v := loadVectors(f)
	for _, c := range v.ResponseCases {
		f.Add(c.Raw)
	}
	o := newOracle(f, v)
	f.Fuzz(o.check)
}

// FuzzParseSigned signs the text of the fuzzer with the service's key, so that the checks behind
// the signature run.
func FuzzParseSigned(f *testing.F) {
	v := loadVectors(f)
	for _, c := range v.ResponseCases {
		if fields := strings.Split(c.Raw, "!"); len(fields) > 2 {
			f.Add(strings.Join(fields[:len(fields)-2], "!"))
		}
	}
	o := newOracle(f, v)
	key := o.private["2"] // the smaller key, which is faster
	f.Fuzz(func(t *testing.T, text string) {
		o.check(t, signText(t, text, key))
	})
}

// FuzzQuery reads the query of a request back with the rules for forms.
func FuzzQuery(f *testing.F) {
	v := loadVectors(f)
	for _, c := range v.RequestCases {
		in := c.Input
		f.Add(in.URL, value(in.Desc), value(in.Msg), value(in.Params), in.Encode)
	}
	f.Fuzz(func(t *testing.T, at, desc, msg, params string, encode bool) {
		r := &raven.Request{URL: at, Desc: desc, Msg: msg, Params: params, Raw: !encode}
		query, err := r.Query()
		if err != nil {
			return
		}
		got, err := url.ParseQuery(query)
		if err != nil || got.Get("url") != at || got.Get("params") != params {
			t.Errorf("%q: %v", query, err)
		}
		for _, field := range [][2]string{{got.Get("desc"), desc}, {got.Get("msg"), msg}} {
			if strings.ContainsFunc(field[0], func(c rune) bool { return c < ' ' || c > '~' }) {
				t.Errorf("%q is sent", field[0])
			}
			if !encode && field[0] != field[1] {
				t.Errorf("%q is sent for %q", field[0], field[1])
			}
		}
	})
}
