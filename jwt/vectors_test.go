package jwt_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-go/countersign/jwt"
)

// vectorFile is the part of testdata/jwt.json that concerns a Verifier.
type vectorFile struct {
	Keys map[string]struct {
		Text    string
		Private string `json:"private_pkcs8_pem"`
		Public  string `json:"public_spki_pem"`
	}
	VerifyCases []verifyCase `json:"verify_cases"`
}

type verifyCase struct {
	Name         string
	Policy       map[string]any
	Settings     map[string]string
	Now          int64
	Headers      map[string]string
	Want, Level  string
	Claims       map[string]any
	User         any      `json:"authenticated_userid"`
	Principals   []string // of the user: ID, groups, and two of the framework
	AllowWeakKey bool     `json:"allow_weak_key"`
}

func readVectors(t testing.TB) *vectorFile {
	t.Helper()
	data, err := os.ReadFile("testdata/jwt.json")
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	file := new(vectorFile)
	if err := d.Decode(file); err != nil {
		t.Fatal(err)
	}
	return file
}

// key returns the key that a policy names, or the text of a setting.
func (f *vectorFile) key(name string) []byte {
	for k, v := range f.Keys {
		switch name {
		case k:
			return []byte(v.Text)
		case k + ".private":
			return []byte(v.Private)
		case k + ".public":
			return []byte(v.Public)
		}
	}
	return []byte(name)
}

// verifier returns the Verifier for the policy of a case. Arguments take precedence over settings.
func (f *vectorFile) verifier(t *testing.T, c *verifyCase) *jwt.Verifier {
	t.Helper()
	policy := make(map[string]any)
	for name, value := range c.Settings {
		policy[name[len("jwt."):]] = value
	}
	maps.Copy(policy, c.Policy)
	key := &jwt.Key{Method: "HS512", Weak: c.AllowWeakKey}
	v := &jwt.Verifier{Keys: key, Scheme: "JWT", NoExpiry: true}
	var secret, public []byte
	for name, value := range policy {
		text, _ := value.(string)
		switch name {
		case "algorithm":
			key.Method = text
		case "private_key":
			secret = f.key(text)
		case "public_key":
			public = f.key(text)
		case "leeway":
			seconds, err := strconv.Atoi(fmt.Sprint(value))
			if err != nil {
				t.Fatal(err)
			}
			v.Leeway = time.Duration(seconds) * time.Second
		case "audience":
			v.Audience = []string{text}
			if list, ok := value.([]any); ok {
				v.Audience = nil
				for _, a := range list {
					v.Audience = append(v.Audience, a.(string))
				}
			}
		case "auth_type":
			v.Scheme = text
		case "http_header":
			v.Header = text
		case "callback":
			v.Groups = callbacks[text]
		default:
			t.Fatalf("no translation of %s", name)
		}
	}
	if key.Key = secret; len(public) > 0 && key.Method[:2] != "HS" {
		key.Key = public
	}
	return v
}

// callbacks are the callbacks that the vectors name.
var callbacks = map[string]func(context.Context, map[string]any) ([]string, error){
	"roles": func(_ context.Context, claims map[string]any) (groups []string, err error) {
		roles, _ := claims["roles"].([]any)
		for _, r := range roles {
			groups = append(groups, "role:"+r.(string))
		}
		return groups, nil
	},
	"refuse": func(context.Context, map[string]any) ([]string, error) {
		return nil, errors.New("nobody I know")
	},
	"empty": func(context.Context, map[string]any) ([]string, error) { return nil, nil },
}

// decisions has an entry for each case that leaves a choice, and for each case where our result
// differs. An entry that repeats the expected result is an error, unless there was a choice.
var decisions = map[string]struct{ outcome, reason string }{
	"iat one second ahead":        {"reject", "clocks that differ have Leeway"},
	"iat ahead beyond leeway":     {"reject", "clocks that differ have Leeway"},
	"scheme jwt in lower case":    {"accept 15", "RFC 9110, section 11.1"},
	"scheme bearer in lower case": {"accept 15", "RFC 9110, section 11.1"},
	"payload empty object":        {"accept nobody", "genuine, and about nobody"},
	"subject empty text":          {"accept nobody", "a user has a name"},
	"subject the framework's own Everyone": {
		"accept system.Everyone", "no subject is reserved here"},
	"subject the framework's own Authenticated": {
		"accept system.Authenticated", "no subject is reserved here"},
}

// wanted returns the expected result of a case in the words of decisions.
func (c *verifyCase) wanted() string {
	switch {
	case c.Want == "reject":
		return "reject"
	case c.User == nil:
		return "accept nobody"
	}
	return fmt.Sprint("accept ", c.User)
}

func TestVerifyVectors(t *testing.T) {
	file := readVectors(t)
	run := 0
	for i := range file.VerifyCases {
		c := &file.VerifyCases[i]
		run++
		t.Run(c.Name, func(t *testing.T) {
			want := c.wanted()
			decision, ok := decisions[c.Name]
			switch {
			case ok && c.Level != "choice" && decision.outcome == want:
				t.Error("listed as a difference, and there is none")
			case !ok && c.Level == "choice":
				t.Error("no decision")
			case ok:
				want = decision.outcome
			}
			synctest.Test(t, func(t *testing.T) {
				time.Sleep(time.Until(time.Unix(c.Now, 0)))
				if got := outcome(t, file.verifier(t, c), c); got != want {
					t.Errorf("outcome %q, want %q", got, want)
				}
			})
		})
	}
	for name := range decisions {
		isIt := func(c verifyCase) bool { return c.Name == name }
		if !slices.ContainsFunc(file.VerifyCases, isIt) {
			t.Errorf("a decision on %q, which is not there", name)
		}
	}
	if run != 148 {
		t.Errorf("%d cases, want 148", run)
	}
}

// outcome authenticates the request of a case, and compares the result with an acceptance.
func outcome(t *testing.T, v *jwt.Verifier, c *verifyCase) string {
	t.Helper()
	req := &http.Request{Header: make(http.Header)}
	var token string
	for name, value := range c.Headers {
		req.Header.Set(name, value)
		token = value
		if i := strings.LastIndexByte(value, ' '); i >= 0 {
			token = value[i+1:]
		}
	}
	id, err := v.Authenticate(req)
	if err != nil {
		if c.Want == "accept" || decisions[c.Name].outcome == "accept nobody" {
			claims, err := v.Verify(context.Background(), token)
			if err == nil {
				checkClaims(t, c, claims)
				return "accept nobody"
			}
		}
		return "reject"
	}
	checkClaims(t, c, id.Claims)
	if want := c.groups(); !slices.Equal(id.Groups, want) && c.User != nil {
		t.Errorf("groups %q, want %q", id.Groups, want)
	}
	return "accept " + id.Subject
}

// groups returns the principals that a callback added.
func (c *verifyCase) groups() (groups []string) {
	for _, p := range c.Principals {
		if p != fmt.Sprint(c.User) && p != "system.Authenticated" && p != "system.Everyone" {
			groups = append(groups, p)
		}
	}
	return groups
}

func checkClaims(t *testing.T, c *verifyCase, got map[string]any) {
	t.Helper()
	if c.Want == "reject" { // accepted by our decision: the file has no claims
		return
	}
	g, err1 := json.Marshal(got)
	w, err2 := json.Marshal(c.Claims)
	if err1 != nil || err2 != nil || !bytes.Equal(g, w) {
		t.Errorf("claims %s, want %s", g, w)
	}
}
