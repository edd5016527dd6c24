package raven_test

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"os"
	"testing"

	"github.com/countersign-go/countersign/raven"
)

// vectors holds the parts of testdata/webauth.json about the two messages.
type vectors struct {
	Keys map[string]struct {
		PKCS1   string `json:"public_pkcs1_pem"`
		SPKI    string `json:"public_spki_pem"`
		Private string `json:"private_pkcs8_pem"`
	}
	Stranger      string         `json:"stranger_private_pkcs8_pem"`
	RequestCases  []requestCase  `json:"request_cases"`
	ResponseCases []responseCase `json:"response_cases"`
	IactCases     []struct {
		Auth  *string
		SSO   []string
		Iact  *bool
		AAuth []string
		Want  bool
	} `json:"iact_aauth_cases"`
}

type requestCase struct {
	Name  string
	Input struct {
		URL               string
		Desc, Msg, Params *string
		AAuth             []string
		Iact              any
		Fail              *bool
		Encode            bool `json:"encode_strings"`
	}
	Want, Error, Query, Level string
}

type responseCase struct {
	Name      string
	Kids      []string
	OldPTags  []string `json:"old_version_ptags"`
	AuthTypes []string `json:"known_auth_types"`
	Raw       string
	Want      string
	Error     string
	Level     string
	Fields    struct {
		Ver, Status     int
		StatusName      string `json:"status_name"`
		Msg, Principal  *string
		IssueUnix       int64 `json:"issue_unix"`
		ID, URL, Params string
		Success, Signed bool
		PTags, SSO      []string
		Auth, KID       *string
		Life            *int
	}
}

func loadVectors(t testing.TB) *vectors {
	t.Helper()
	text, err := os.ReadFile("testdata/webauth.json")
	if err != nil {
		t.Fatal(err)
	}
	var v vectors
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	return &v
}

// service returns a Service with the named keys.
func (v *vectors) service(t testing.TB, kids ...string) *raven.Service {
	t.Helper()
	s := &raven.Service{Keys: raven.Keys{}, PTags: []string{"current"}}
	for _, kid := range kids {
		key, err := raven.ParseKey([]byte(v.Keys[kid].PKCS1))
		if err != nil {
			t.Fatalf("key %s: %v", kid, err)
		}
		s.Keys[kid] = key
	}
	return s
}

// private returns the private key for kid, or a key that no Service lists if kid is "".
func (v *vectors) private(t testing.TB, kid string) *rsa.PrivateKey {
	t.Helper()
	text := v.Keys[kid].Private
	if kid == "" {
		text = v.Stranger
	}
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		t.Fatalf("key %q is not PEM", kid)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return key.(*rsa.PrivateKey)
}

func value(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
