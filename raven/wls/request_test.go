package wls

import (
	"net/url"
	"reflect"
	"strconv"
	"testing"
)

func FuzzRead(f *testing.F) {
	const at = "ver=3&url=https%3A%2F%2Fapp.example.org%2F"
	for _, query := range []string{
		"", at, at + "&desc=two%20words&iact=yes&aauth=pwd,x-card&fail=yes&skew=5",
		at + ";msg=a+b;date=20240115T093000Z;params=%C3%A9%26",
		"ver=4" + at[5:], at + "&" + at, at + "&zz=",
	} {
		f.Add(query)
	}
	f.Fuzz(func(t *testing.T, query string) {
		r, err := read(query)
		if err != nil {
			if r != nil {
				t.Errorf("%+v beside %v", r, err)
			}
			return
		}
		text, err := r.Query()
		if err != nil {
			t.Fatal(err)
		}
		again, err := read("ver=" + strconv.Itoa(r.Version) + text[len("ver=3"):])
		if err != nil || !reflect.DeepEqual(again, r) {
			t.Errorf("%v\n read %+v\nthen %+v", err, r, again)
		}
		if _, err := url.Parse(r.URL); err != nil {
			t.Error(err)
		}
	})
}
