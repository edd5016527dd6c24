package portal_test

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/portal"
)

// Load reports at a program's start, not at the first login, that a Checker is set up wrongly.
func TestLoadAtTheStart(t *testing.T) {
	db := table([]driver.Value{"ann", "x"}).open(t)
	all := (&fakeDB{rows: func(string) [][]driver.Value {
		return [][]driver.Value{{"ann", "x"}}
	}}).open(t)
	broken := (&fakeDB{rows: func(string) [][]driver.Value { return nil }, err: errDown}).open(t)
	long := creds.Secret("canary-" + strings.Repeat("x", 1024))
	none := filepath.Join(t.TempDir(), "none")
	for _, tt := range []struct {
		reason  string
		checker interface{ Load() error }
		want    string // if empty, no error
	}{
		{"users in memory", portal.Memory{"ann": creds.Secret("canary-1")}, ""},
		{"nobody", portal.Memory{}, ""},
		{"no name", portal.Memory{"": creds.Secret("canary-1")}, "a name that is empty"},
		{"no password", portal.Memory{"ann": nil}, `the password of "ann" is empty`},
		{"a long password", portal.Memory{"ann": long}, "over 1024 bytes"},
		{"a database", &portal.SQL{DB: db, Query: usersQuery}, ""},
		{"no database", &portal.SQL{Query: usersQuery}, "no DB or no Query"},
		{"no query", &portal.SQL{DB: db}, "no DB or no Query"},
		{"one that is down", &portal.SQL{DB: broken, Query: usersQuery}, errDown.Error()},
		{"a query that finds everybody", &portal.SQL{DB: all, Query: usersQuery}, "placeholder"},
		{"two ways to compare", &portal.SQL{DB: db, Query: usersQuery, Verify: verifyMD5,
			PlainText: true}, "choose one"},
		{"a file that is not there", &portal.File{Path: none}, "none"},
		{"a helper that is not there", &portal.Command{Path: none}, "none"},
		{"good ones", portal.Checkers{portal.AllowAnonymous{}, portal.Memory{}}, ""},
		{"a nil one", portal.Checkers{portal.Memory{}, nil}, "checker 2 of 2 is nil"},
		{"a bad one", portal.Checkers{portal.Memory{}, &portal.File{Path: none}}, "none"},
		{"one inside", portal.Checkers{portal.Checkers{&portal.File{Path: none}}}, "none"},
	} {
		err := tt.checker.Load()
		text := fmt.Sprint(err)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(text, tt.want) ||
			strings.Contains(text, "canary-") {
			t.Errorf("%s: %v; want %q", tt.reason, err, tt.want)
		}
	}
}

func TestPortalCheck(t *testing.T) {
	realm := portal.RealmFunc[string](func(context.Context, string, ...reflect.Type) (
		string, func(), error) {
		return "", nil, errors.New("not asked")
	})
	users := portal.Checkers{portal.Memory{"ann": creds.Secret("canary-1")}}
	for _, tt := range []struct {
		portal portal.Portal[string]
		want   string
	}{
		{portal.Portal[string]{Realm: realm, Checkers: users}, ""},
		{portal.Portal[string]{Checkers: users}, "no Realm"},
		{portal.Portal[string]{Realm: realm}, "no Checkers"},
		{portal.Portal[string]{Realm: realm, Checkers: portal.Checkers{nil}}, "is nil"},
	} {
		err := tt.portal.Check()
		if (err == nil) != (tt.want == "") ||
			err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v; want %q", err, tt.want)
		}
	}
}
