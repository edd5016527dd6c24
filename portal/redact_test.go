package portal_test

import (
	"context"
	"database/sql/driver"
	"flag"
	"reflect"
	"testing"

	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/internal/canary"
	"github.com/countersign-go/countersign/portal"
)

// A keyMaker is a Realm whose avatars are secrets.
type keyMaker string

func (k keyMaker) Avatar(context.Context, string, ...reflect.Type) (creds.Secret, func(), error) {
	return creds.Secret(k), nil, nil
}

// Values of this package do not print the secrets that they hold, in any form, K6.
func TestPrintsRedacted_K6(t *testing.T) {
	const secret = "canary-hun7er2"
	file := &portal.File{Path: writeUsers(t, "ann:"+secret+"\n"), PlainText: true}
	wants(t, "file", file, password("ann", secret), "ann")
	database := &portal.SQL{DB: table([]driver.Value{"ann", secret}).open(t), Query: usersQuery,
		PlainText: true}
	wants(t, "database", database, password("ann", secret), "ann")
	users := portal.Memory{"ann": creds.Secret(secret)}
	checkers := portal.Checkers{users, file, database, portal.AllowAnonymous{}}
	door := &portal.Portal[creds.Secret]{Realm: keyMaker(secret), Checkers: checkers}
	session, err := door.Login(t.Context(), password("ann", secret))
	if err != nil {
		t.Fatal(err)
	}
	flags := &portal.Flags{}
	set := flag.NewFlagSet("x", flag.ContinueOnError)
	flags.Register(set)
	if err := set.Parse([]string{"--auth", "memory:ann:" + secret}); err != nil {
		t.Fatal(err)
	}
	canary.Print(t, ".", map[string]any{
		"Password": password("ann", secret),
		"Response": portal.Response{User: "ann", Matches: func(p creds.Secret) bool {
			return string(p) == secret
		}},
		"Bearer":         portal.Bearer{Token: creds.Secret(secret)},
		"Anonymous":      nil,
		"Credentials":    nil,
		"AllowAnonymous": nil,
		"Memory":         users,
		"File":           file,
		"SQL":            database,
		"Command":        &portal.Command{Path: "x", Args: []string{secret}, Env: []string{secret}},
		"Checkers":       checkers,
		"Portal":         door,
		"Session":        session,
		"RealmFunc":      nil,
		"Flags":          flags,
		"Type":           nil,
	})
}
