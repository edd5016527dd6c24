package bearer

import (
	"testing"
	"time"
)

// A record that can be read is written as a record that reads the same.
func FuzzTokenRecord(f *testing.F) {
	for _, text := range []string{
		`{"version":1,"kind":"bearer","serial":7,"seed":"ab","access_token":"a","token_type":"b",` +
			`"refresh_token":"c","saved":1700000000000,"expires":1700000001000}`,
		`{"version":1,"kind":"bearer","serial":7,"access_token":"a","saved":1}`,
		`{"version":1,"kind":"bearer","serial":7,"access_token":"a","saved":1,` +
			`"expires":253402300799999}`,
		`{"version":1,"kind":"bearer","serial":7,"access_token":"a b","saved":1}`,
		`{"version":1,"kind":"bearer","serial":9223372036854775806,"access_token":"a","saved":1}`,
		`{"version":1,"kind":"bearer","serial":1e3,"access_token":"a","saved":1}`,
		`{"version":1,"kind":"bearer","serial":-7,"access_token":"a","saved":1}`,
		`{"version":2,"kind":"bearer"}`, `{"version":1,"version":1}`, `[]`, ``, `{"kind":null}`,
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := decodeTokenRecord([]byte(text))
		if err != nil {
			return
		}
		data, err := r.encode()
		if err != nil {
			t.Fatalf("%q is read, and not written: %v", text, err)
		}
		again, err := decodeTokenRecord(data)
		if err != nil {
			t.Fatalf("%q is written as %q: %v", text, data, err)
		}
		a, b := r.grant, again.grant
		if a.serial != b.serial || r.seed != again.seed || !sameText(a.token, b.token) ||
			a.token.Expiry.IsZero() != b.token.Expiry.IsZero() ||
			a.valid() && a.token.Expiry.Sub(b.token.Expiry).Abs() > time.Second {
			t.Errorf("%q became %q", text, data)
		}
	})
}
