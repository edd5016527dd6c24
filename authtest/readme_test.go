package authtest_test

import (
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-go/countersign"
	"github.com/countersign-go/countersign/authtest"
	"github.com/countersign-go/countersign/mac"
)

// The README shows the test below, with the same text as here.
func TestReadme(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("readme_test.go")
	if err != nil {
		t.Fatal(err)
	}
	_, test, _ := strings.Cut(string(source), "\nfunc TestBot(")
	test = "func TestBot(" + test
	if !strings.Contains(string(readme), "\n```go\n"+test+"```\n") {
		t.Errorf("README.md does not show\n%s", test)
	}
	if lines := strings.Count(test, "\n"); lines >= 15 {
		t.Errorf("it has %d lines, and should have less than 15", lines)
	}
}

func TestBot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		service := authtest.NewService(t)
		signer := &mac.Signer{Source: service.Provisioner()}
		client := countersign.NewClient(countersign.Config{Signer: signer, Base: service})
		service.Set(authtest.Faults{Offset: time.Hour, ExpireAfter: 2, RevokeInFlight: 1})
		for range 6 {
			resp, err := client.Get("https://api.example.com/")
			if err != nil || resp.StatusCode != 200 || service.Seen().Refused["revoked"] == 0 {
				t.Fatal(resp, err, service.Seen().Log)
			}
		}
	})
}
