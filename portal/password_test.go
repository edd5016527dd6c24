package portal_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/portal"
)

// TestCheckPassword compares CheckPassword with Check, for right and wrong passwords and for
// Checkers that cannot decide.
func TestCheckPassword(t *testing.T) {
	path := filepath.Join(t.TempDir(), "users")
	if err := os.WriteFile(path, []byte("ann:canary-f1le\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	memory := portal.Memory{"ann": creds.Secret("canary-m3m0ry")}
	wrong := 0
	for _, checker := range []interface {
		portal.Checker
		CheckPassword(context.Context, string, creds.Secret) (string, error)
	}{
		memory, portal.Checkers{memory}, portal.Checkers{portal.AllowAnonymous{}},
		&portal.File{Path: path, PlainText: true}, &portal.SQL{}, &portal.Command{},
	} {
		accepted := 0
		for _, password := range []string{"canary-m3m0ry", "canary-f1le", "x", ""} {
			secret := creds.Secret(password)
			given := portal.Password{User: "ann", Password: secret}
			subject, err := checker.Check(t.Context(), given)
			got, gotErr := checker.CheckPassword(t.Context(), "ann", secret)
			if got != subject || fmt.Sprint(gotErr) != fmt.Sprint(err) {
				t.Errorf("%T: %q, %v; Check returns %q, %v", checker, got, gotErr, subject, err)
			}
			if gotErr == nil {
				accepted++
			}
			if errors.Is(gotErr, creds.ErrWrong) {
				wrong++
			}
		}
		if accepted > 1 {
			t.Errorf("%T accepts %d passwords", checker, accepted)
		}
	}
	if wrong != 9 { // three each of Memory, Checkers and File
		t.Errorf("%d passwords are wrong, want 9", wrong)
	}
}
