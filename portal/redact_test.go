package portal_test

import (
	"bytes"
	"context"
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"

	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/portal"
)

// A greeter is a Realm whose avatars are texts.
type greeter struct{}

func (greeter) Avatar(_ context.Context, subject string, _ ...reflect.Type) (
	string, func(), error) {
	return "hello " + subject, nil, nil
}

// Nothing of this package prints what it holds, in whatever form, K6.
func TestPrintsRedacted_K6(t *testing.T) {
	const secret = "canary-hun7er2"
	file := &portal.File{Path: writeUsers(t, "ann:"+secret+"\n"), PlainText: true}
	wants(t, "file", file, password("ann", secret), "ann")
	database := &portal.SQL{DB: table([]driver.Value{"ann", secret}).open(t), Query: usersQuery,
		PlainText: true}
	wants(t, "database", database, password("ann", secret), "ann")
	response := portal.Response{User: "ann", Matches: func(p creds.Secret) bool {
		return string(p) == secret
	}}
	given, token := password("ann", secret), portal.Bearer{Token: creds.Secret(secret)}
	users := portal.Memory{"ann": creds.Secret(secret)}
	checkers := portal.Checkers{users, file, database, portal.AllowAnonymous{}}
	session, err := (&portal.Portal[string]{Realm: greeter{}, Checkers: checkers}).Login(
		t.Context(), given)
	if err != nil {
		t.Fatal(err)
	}

	var out bytes.Buffer
	values := []any{
		given, &given, token, &token, response, &response, users, &users, file, database, checkers,
		&portal.Portal[string]{Realm: greeter{}, Checkers: checkers}, session, []any{given, token},
		// Package fmt follows a pointer within something where the verb is none for pointers.
		[]any{&given, &token, &response, file, database},
		map[string]any{"x": file}, struct{ F *portal.File }{file},
		struct{ S *portal.SQL }{database},
	}
	for _, v := range values {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		// A func has no JSON, and then the error must not tell either.
		if err := json.NewEncoder(&out).Encode(v); err != nil {
			fmt.Fprintln(&out, err)
		}
		slog.New(slog.NewTextHandler(&out, nil)).Info("x", "v", v)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "v", v)
	}
	for _, leak := range []string{
		"canary-", "hun7er2", fmt.Sprintf("%x", secret[1:]), fmt.Sprintf("%X", secret[1:]),
		strings.Trim(fmt.Sprint([]byte(secret)), "[]"), "Y2FuYXJ5LWh1bj", "0x68, 0x75, 0x6e",
	} {
		if strings.Contains(out.String(), leak) {
			t.Errorf("a secret is printed as %s", leak[:2])
		}
	}
	if n := strings.Count(out.String(), "\n"); n < 10*len(values) {
		t.Errorf("only %d lines were printed", n)
	}
}
