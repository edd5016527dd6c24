package portal_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/portal"
)

func TestMemory(t *testing.T) {
	long := strings.Repeat("x", 1<<10)
	users := portal.Memory{
		"ann":   creds.Secret("canary-c0rrecth0rse"),
		"empty": creds.Secret(""),
		"nil":   nil,
		"":      creds.Secret("nobody"),
		"long":  creds.Secret(long),
		"huge":  creds.Secret(long + "x"),
		"zero":  creds.Secret("a\x00"),
	}
	for _, tt := range []struct {
		reason         string
		user, password string
		ok             bool
	}{
		{"right", "ann", "canary-c0rrecth0rse", true},
		{"wrong", "ann", "correct house", false},
		{"another user's", "ann", "nobody", false},
		{"only its beginning", "ann", "correct", false},
		{"more than it", "ann", "canary-c0rrecth0rse ", false},
		{"nothing", "ann", "", false},
		{"the name in another case", "Ann", "canary-c0rrecth0rse", false},
		{"an unknown user", "bob", "canary-c0rrecth0rse", false},
		{"an unknown user without a password", "bob", "", false},
		{"an account without a password is closed", "empty", "", false},
		{"also if its password was forgotten", "nil", "", false},
		{"an empty name is nobody", "", "nobody", false},
		{"the longest", "long", long, true},
		{"too long", "huge", long + "x", false},
		{"too long, the same up to the limit", "huge", long + "y", false},
		{"longer than the longest", "long", long + "x", false},
		{"every byte counts", "zero", "a\x00", true},
		{"also a NUL at the end", "zero", "a", false},
		{"1 MiB, S11", "ann", strings.Repeat("x", 1<<20), false},
	} {
		given := portal.Password{User: tt.user, Password: creds.Secret(tt.password)}
		subject, err := users.Check(context.Background(), given)
		switch {
		case tt.ok && (subject != tt.user || err != nil):
			t.Errorf("%s: %q, %v; want the user", tt.reason, subject, err)
		case !tt.ok && (subject != "" || err != portal.ErrUnauthorized):
			t.Errorf("%s: %q, %v; want ErrUnauthorized", tt.reason, subject, err)
		}
	}
}

func TestMemoryUnhandled(t *testing.T) {
	for _, c := range []portal.Credentials{
		nil, "ann", &portal.Password{User: "ann"}, struct{ Secret string }{"hunter2"},
	} {
		subject, err := portal.Memory{"ann": nil}.Check(context.Background(), c)
		if subject != "" || !errors.Is(err, portal.ErrUnhandled) {
			t.Errorf("%T: %q, %v; want ErrUnhandled", c, subject, err)
		}
		if strings.Contains(fmt.Sprint(err), "hunter2") {
			t.Errorf("the error repeats the credentials: %v", err)
		}
	}
}

func TestNilMemory(t *testing.T) {
	_, err := portal.Memory(nil).Check(context.Background(), portal.Password{User: "ann"})
	if err != portal.ErrUnauthorized {
		t.Errorf("nobody is there, but %v", err)
	}
}
