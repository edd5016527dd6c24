package portal_test

import (
	"context"
	"crypto/md5"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/portal"
)

// credVectors is testdata/cred.json.
type credVectors struct {
	Files map[string]string

	FileCases []struct {
		Name, Level, File, Hash, Username, Password string
		Options                                     fileOptions
		Want                                        verdict
	} `json:"file_cases"`
	MissingFileCases []struct {
		Name string
		Want verdict
	} `json:"missing_file_cases"`
	MemoryCases []struct {
		Name string
		Want verdict
	} `json:"memory_cases"`
	AuthOptionCases []struct {
		Name, Level string
		Supported   []string
		Auth        []string
		Want        struct {
			Checkers     int
			ByCredential map[string]int `json:"by_credential"`
			UsageError   string         `json:"usage_error"`
		}
	} `json:"auth_option_cases"`
	HelpCases []struct {
		Name       string
		Supported  []string
		Args       []string
		UsageError string `json:"usage_error"`
		Exit       int
	} `json:"help_cases"`
	PortalCases []struct {
		Name        string
		Checkers    []json.RawMessage
		Credentials json.RawMessage
		Interfaces  []string
		Offers      []string `json:"realm_offers"`
		Want        struct {
			Interface    string
			AvatarID     string `json:"avatar_id"`
			Anonymous    bool
			LogoutCalled bool `json:"logout_called"`
			Error        string
		}
	} `json:"portal_cases"`
}

type fileOptions struct {
	Delimiter      string `json:"delim"`
	UserColumn     int    `json:"username_field"`
	PasswordColumn int    `json:"password_field"`
	CaseSensitive  bool   `json:"case_sensitive"`
}

// A verdict is a subject or an error. Every file case has one of the two.
type verdict struct{ Avatar, Error string }

// decisions returns the rows that needed a decision, with our behavior ("want": the same as the
// row).
func decisions(t *testing.T, section string) map[string]string {
	t.Helper()
	var all map[string]map[string]struct{ As, Rule string }
	load(t, "decisions.json", &all)
	as := map[string]string{}
	for name, decision := range all[section] {
		if decision.Rule == "" {
			t.Errorf("%s: a decision without a rule", name)
		}
		as[name] = decision.As
	}
	return as
}

func ran(t *testing.T, rows, want int, decided map[string]string) {
	t.Helper()
	if rows != want {
		t.Errorf("%d rows, want %d", rows, want)
	}
	for name := range decided {
		t.Errorf("a decision about no row: %s", name)
	}
}

// verifyMD5 is the Verify that the vectors' file with MD5 hashes needs. Applications should not use
// MD5.
func verifyMD5(_ string, given creds.Secret, stored string) bool {
	sum := md5.Sum(given)
	return subtle.ConstantTimeCompare([]byte(hex.EncodeToString(sum[:])), []byte(stored)) == 1
}

func TestCredFiles(t *testing.T) {
	var vectors credVectors
	load(t, "cred.json", &vectors)
	decided := decisions(t, "file_cases")
	rows := 0
	for _, row := range vectors.FileCases {
		rows++
		if as, ok := decided[row.Name]; ok {
			if as != "want" {
				t.Errorf("%s: decided as %q", row.Name, as)
			}
			delete(decided, row.Name)
		} else if row.Level == "choice" {
			t.Errorf("%s: not decided", row.Name)
		}
		users := &portal.File{
			Path:            writeUsers(t, vectors.Files[row.File]),
			Delimiter:       row.Options.Delimiter,
			UserColumn:      row.Options.UserColumn,
			PasswordColumn:  row.Options.PasswordColumn,
			CaseInsensitive: !row.Options.CaseSensitive,
			PlainText:       row.Hash == "",
		}
		if row.Hash != "" {
			users.Verify = verifyMD5
		}
		if (row.Want.Avatar == "") != (row.Want.Error == "UnauthorizedLogin") {
			t.Fatalf("%s: neither subject nor refusal", row.Name)
		}
		given := password(row.Username, row.Password)
		wants(t, row.Name, users, given, row.Want.Avatar)
		wants(t, row.Name+", again", users, given, row.Want.Avatar)
	}
	ran(t, rows, 25, decided)
}

func TestCredMissingFiles(t *testing.T) {
	var vectors credVectors
	load(t, "cred.json", &vectors)
	rows := 0
	for _, row := range vectors.MissingFileCases {
		rows++
		if row.Want.Error != "UnauthorizedLogin" {
			t.Errorf("%s: wants %+v", row.Name, row.Want)
		}
		users := &portal.File{Path: filepath.Join(t.TempDir(), "none")}
		wants(t, row.Name, users, password("ann", "x"), row.Want.Avatar)
	}
	ran(t, rows, 2, nil)
}

func TestCredMemory(t *testing.T) {
	var vectors credVectors
	load(t, "cred.json", &vectors)
	rows := 0
	for _, row := range vectors.MemoryCases {
		rows++
		checkers, _, err := withFlags(portal.Flags{}, "--auth", "memory:user:pass")
		if err != nil {
			t.Fatal(err)
		}
		fromSocket := portal.Password{User: "user", Password: []byte("pass")}
		wants(t, row.Name, checkers, fromSocket, row.Want.Avatar)
	}
	ran(t, rows, 1, nil)
}

// withFlags returns the Checkers, the output and the error that a command line leads to.
func withFlags(login portal.Flags, args ...string) (portal.Checkers, string, error) {
	flags := flag.NewFlagSet("x", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	login.Register(flags)
	if err := flags.Parse(args); err != nil {
		return nil, "", err
	}
	var out strings.Builder
	checkers, err := login.Checkers(&out)
	return checkers, out.String(), err
}

var credKinds = map[string]reflect.Type{
	"username_password":        reflect.TypeFor[portal.Password](),
	"username_hashed_password": reflect.TypeFor[portal.Response](),
	"anonymous":                reflect.TypeFor[portal.Anonymous](),
}

func supported(t *testing.T, words []string) []reflect.Type {
	t.Helper()
	var kinds []reflect.Type
	for _, word := range words {
		if credKinds[word] == nil {
			t.Fatalf("no kind %q", word)
		}
		kinds = append(kinds, credKinds[word])
	}
	return kinds
}

// usageErrors maps Cred's error texts to ours.
var usageErrors = map[string]string{
	"Unexpected error: argstring must be in format U:P:...": "write NAME:PASSWORD",
	"Auth plugin not supported: twisted.cred.credentials.IAnonymous": "not supported: it is for " +
		"portal.Anonymous, and this program takes portal.Password",
	"Auth plugin not recognized: ldap":             "not recognized",
	"Auth plugin not recognized: ":                 "not recognized",
	"Auth plugin not recognized: MEMORY":           "not recognized",
	"Unexpected error: 'file' requires a filename": "name the file",
	"no such file":            "no-such-file",
	"Invalid auth type: nope": "--help-auth-type: type not recognized",
}

func TestCredAuthOptions(t *testing.T) {
	var vectors credVectors
	load(t, "cred.json", &vectors)
	decided := decisions(t, "auth_option_cases")
	rows := 0
	for _, row := range vectors.AuthOptionCases {
		rows++
		login := portal.Flags{Kinds: supported(t, row.Supported)}
		var args []string
		for _, auth := range row.Auth {
			args = append(args, "--auth", auth)
		}
		checkers, out, err := withFlags(login, args...)
		if row.Want.UsageError != "" {
			text := usageErrors[row.Want.UsageError]
			if as, ok := decided[row.Name]; ok && row.Level != "must" {
				text = as
				delete(decided, row.Name)
			}
			if text == "" || err == nil || !strings.Contains(err.Error(), text) ||
				errors.Is(err, flag.ErrHelp) || checkers != nil {
				t.Errorf("%s: %v, %v; want %q", row.Name, checkers, err, text)
			}
			continue
		}
		if err != nil || len(checkers) != row.Want.Checkers || out != "" {
			t.Errorf("%s: %v, %v, %q", row.Name, checkers, err, out)
		}
		count := map[string]int{}
		for word, kind := range credKinds {
			for i := range checkers {
				for _, judged := range checkers[i : i+1].Kinds() {
					// A program that does not accept a kind never asks for it.
					taken := login.Kinds == nil || slices.Contains(login.Kinds, kind)
					if judged == kind && taken {
						count[word]++
					}
				}
			}
		}
		if !reflect.DeepEqual(count, row.Want.ByCredential) {
			t.Errorf("%s: %v, want %v", row.Name, count, row.Want.ByCredential)
		}
	}
	ran(t, rows, 16, decided)
}

func TestCredHelp(t *testing.T) {
	var vectors credVectors
	load(t, "cred.json", &vectors)
	decided := decisions(t, "help_cases")
	rows := 0
	for _, row := range vectors.HelpCases {
		rows++
		_, out, err := withFlags(portal.Flags{Kinds: supported(t, row.Supported)}, row.Args...)
		as, ok := decided[row.Name]
		delete(decided, row.Name)
		switch {
		case row.UsageError != "":
			if ok || out != "" || !strings.Contains(err.Error(), usageErrors[row.UsageError]) {
				t.Errorf("%s: %v, %q", row.Name, err, out)
			}
		case err != flag.ErrHelp || row.Exit != 0:
			t.Errorf("%s: %v, want flag.ErrHelp", row.Name, err)
		case strings.HasPrefix(row.Name, "list"):
			_, table, _ := strings.Cut(out, "  TYPE ")
			var words []string
			for _, line := range strings.Split(table, "\n")[1:] {
				if fields := strings.Fields(line); len(fields) > 1 {
					words = append(words, fields[0])
				}
			}
			if got := strings.Join(words, " "); got != as {
				t.Errorf("%s: lists %q, want %q", row.Name, got, as)
			}
		case !strings.Contains(out, as) ||
			strings.Contains(out, "Not supported") != (as == "Not supported"):
			t.Errorf("%s: %q, want %q in it", row.Name, out, as)
		}
	}
	ran(t, rows, 7, decided)
}

// The interfaces A and B of the vectors.
type (
	avatarA interface{ A() string }
	avatarB interface{ B() string }
	justA   string
	justB   string
)

func (a justA) A() string { return string(a) }
func (b justB) B() string { return string(b) }

var avatarKinds = map[string]reflect.Type{
	"A": reflect.TypeFor[avatarA](), "B": reflect.TypeFor[avatarB](),
}

// A vectorRealm offers avatars of some kinds, and counts logouts.
type vectorRealm struct {
	offers  []string
	logouts int
}

func (r *vectorRealm) Avatar(_ context.Context, subject string, kinds ...reflect.Type) (
	any, func(), error) {
	for _, kind := range kinds {
		for _, offered := range r.offers {
			if avatarKinds[offered] != kind {
				continue
			}
			if offered == "A" {
				return justA(subject), func() { r.logouts++ }, nil
			}
			return justB(subject), func() { r.logouts++ }, nil
		}
	}
	return nil, nil, portal.ErrNoAvatar
}

func vectorCheckers(t *testing.T, rows []json.RawMessage) portal.Checkers {
	t.Helper()
	var checkers portal.Checkers
	for _, row := range rows {
		if string(row) == `"anonymous"` {
			checkers = append(checkers, portal.AllowAnonymous{})
			continue
		}
		users := portal.Memory{}
		if err := json.Unmarshal(row, &users); err != nil {
			t.Fatal(err)
		}
		checkers = append(checkers, users)
	}
	return checkers
}

func TestCredPortal(t *testing.T) {
	var vectors credVectors
	load(t, "cred.json", &vectors)
	refusals := map[string]error{
		"UnauthorizedLogin":    portal.ErrUnauthorized,
		"UnhandledCredentials": portal.ErrUnhandled,
		"no_avatar":            portal.ErrNoAvatar,
	}
	rows := 0
	for _, row := range vectors.PortalCases {
		rows++
		var c portal.Credentials = portal.Anonymous{}
		if string(row.Credentials) != `"anonymous"` {
			var given struct{ Username, Password string }
			if err := json.Unmarshal(row.Credentials, &given); err != nil {
				t.Fatal(err)
			}
			c = password(given.Username, given.Password)
		}
		var kinds []reflect.Type
		for _, word := range row.Interfaces {
			kinds = append(kinds, avatarKinds[word])
		}
		realm := &vectorRealm{offers: row.Offers}
		p := &portal.Portal[any]{Realm: realm, Checkers: vectorCheckers(t, row.Checkers)}
		session, err := p.Login(t.Context(), c, kinds...)
		if row.Want.Error != "" {
			if refusals[row.Want.Error] == nil || !errors.Is(err, refusals[row.Want.Error]) ||
				session != nil {
				t.Errorf("%s: %v, want %s", row.Name, err, row.Want.Error)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", row.Name, err)
			continue
		}
		want := row.Want.AvatarID
		if row.Want.Anonymous {
			want = portal.AnonymousSubject
		}
		a, isA := session.Avatar.(avatarA)
		if session.Subject != want || session.Kind != avatarKinds[row.Want.Interface] || !isA ||
			a.A() != want {
			t.Errorf("%s: %+v, want %+v", row.Name, session, row.Want)
		}
		session.Logout()
		if (realm.logouts == 1) != row.Want.LogoutCalled {
			t.Errorf("%s: %d logouts", row.Name, realm.logouts)
		}
	}
	ran(t, rows, 12, nil)
}
