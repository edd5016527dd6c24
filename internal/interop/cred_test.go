package interop

import (
	"crypto/md5"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/portal"
)

// A credOptions is the layout of a file, in the terms of FilePasswordDB.
type credOptions struct {
	Delimiter      string `json:"delim"`
	UserColumn     int    `json:"usernameField"`
	PasswordColumn int    `json:"passwordField"`
	CaseSensitive  bool   `json:"caseSensitive"`
	Cache          bool   `json:"cache"`
}

var (
	plainOptions  = credOptions{":", 0, 1, true, false}
	cachedOptions = credOptions{":", 0, 1, true, true}
	foldedOptions = credOptions{":", 0, 1, false, false}
)

// A credJob is one request for testdata/cred.py.
type credJob struct {
	File     string      `json:"file"`
	Options  credOptions `json:"options"`
	Hash     bool        `json:"hash"`
	User     string      `json:"user"`
	Password string      `json:"password"`
}

// Verdicts other than "in as" with the name in quotes.
const (
	refused   = "refused"
	undecided = "undecided" // an error that is not a refusal
)

// askTwisted returns the verdict of FilePasswordDB.
func askTwisted(t *testing.T, twisted *peer, job credJob) string {
	t.Helper()
	twisted.write(t, job)
	var answer struct {
		Avatar *string
		Error  string
	}
	twisted.read(t, &answer)
	switch {
	case answer.Avatar != nil:
		return fmt.Sprintf("in as %q", *answer.Avatar)
	case answer.Error == "UnauthorizedLogin":
		return refused
	}
	return undecided
}

// askFile returns the verdict of portal.File.
func askFile(t *testing.T, job credJob) string {
	t.Helper()
	users := &portal.File{
		Path: job.File, Delimiter: job.Options.Delimiter,
		UserColumn: job.Options.UserColumn, PasswordColumn: job.Options.PasswordColumn,
		CaseInsensitive: !job.Options.CaseSensitive, PlainText: !job.Hash,
	}
	if job.Hash {
		users.Verify = func(_ string, given creds.Secret, stored string) bool {
			sum := md5.Sum(given)
			return subtle.ConstantTimeCompare([]byte(hex.EncodeToString(sum[:])),
				[]byte(stored)) == 1
		}
	}
	subject, err := users.Check(t.Context(), portal.Password{
		User: job.User, Password: creds.Secret(job.Password)})
	switch {
	case err == nil:
		return fmt.Sprintf("in as %q", subject)
	case errors.Is(err, portal.ErrUnauthorized):
		return refused
	}
	return undecided
}

// plainUsers is a file with passwords in clear text, and with irregular lines as they occur in
// practice.
const plainUsers = "alice:one\nbob:two:three\n  carol : four \ndave\n\n   \nalice:second\n" +
	"closed:\nclosed:x\nFrank:Pw\ngina:trail   \ncrlf:win\r\nvt:x\v\f\t\njörg:пароль\n" +
	"nbsp:x\u00a0\nq'uote:' OR 1=1\n # not:x\nin ner:a b\ncolon::x\n%s:%s\nlast:end"

// FilePasswordDB of Twisted and portal.File must give the same verdict for each row.
func TestFileLikeTwisted(t *testing.T) {
	md5Of := func(text string) string { return fmt.Sprintf("%x", md5.Sum([]byte(text))) }
	columns := "one dingle dongle alice\ntwo dingle dongle bob\nshort line\n"
	csv := "zip,zap,Alice,zup,one,extra\nzip,zap,BOB,zup,two\n"
	hashes := "alice:" + md5Of("one") + "\nupper:" + strings.ToUpper(md5Of("one")) + "\nclear:one\n"
	twisted := startPeer(t, "cred.py")
	for _, section := range []struct {
		name, text string
		options    credOptions
		rows       []credRow
	}{
		{"plain", plainUsers, plainOptions, []credRow{
			{"right", "alice", "one", "alice"},
			{"wrong", "alice", "two", ""},
			{"nothing", "alice", "", ""},
			{"more", "alice", "onex", ""},
			{"less", "alice", "on", ""},
			{"with the line end", "alice", "one\n", ""},
			{"unknown", "zed", "one", ""},
			{"the name in other capitals", "ALICE", "one", ""},
			{"the password in other capitals", "Frank", "pw", ""},
			{"capitals", "Frank", "Pw", "Frank"},
			{"the second line of a name", "alice", "second", ""},
			{"the second line of a closed account", "closed", "x", ""},
			{"up to the delimiter", "bob", "two", "bob"},
			{"the delimiter in the password", "bob", "two:three", ""},
			{"behind the delimiter", "bob", "three", ""},
			{"a password that begins with it", "colon", ":x", ""},
			{"the delimiter in the name", "bob:two", "three", ""},
			{"blanks around", "  carol ", " four", "  carol "},
			{"without the blanks of the name", "carol", " four", ""},
			{"without those of the password", "  carol ", "four", ""},
			{"with those of the line end", "  carol ", " four ", ""},
			{"blanks at the line end", "gina", "trail", "gina"},
			{"blanks that are not counted", "gina", "trail   ", ""},
			{"CRLF", "crlf", "win", "crlf"},
			{"with the CR", "crlf", "win\r", ""},
			{"other blanks at the line end", "vt", "x", "vt"},
			{"a blank of Unicode", "nbsp", "x\u00a0", "nbsp"},
			{"without it", "nbsp", "x", ""},
			{"blanks within", "in ner", "a b", "in ner"},
			{"no delimiter", "dave", "", ""},
			{"no delimiter, and the name again", "dave", "dave", ""},
			{"an empty line", "", "", ""},
			{"beyond ASCII", "jörg", "пароль", "jörg"},
			{"in another normal form", "jo\u0308rg", "пароль", ""},
			{"quotes", "q'uote", "' OR 1=1", "q'uote"},
			{"a blank before #", " # not", "x", " # not"},
			{"words of a format", "%s", "%s", "%s"},
			{"no line end", "last", "end", "last"},
		}},
		{"caseless", plainUsers, foldedOptions, []credRow{
			{"as it is", "Frank", "Pw", "frank"},
			{"in other capitals", "fRANK", "Pw", "frank"},
			{"the password still counts", "frank", "pw", ""},
			{"in capitals", "ALICE", "one", "alice"},
			{"beyond ASCII", "jörg", "пароль", "jörg"},
		}},
		{"cached", plainUsers, cachedOptions, []credRow{
			{"right", "Frank", "Pw", "Frank"},
			{"wrong", "Frank", "pw", ""},
			{"unknown", "zed", "pw", ""},
		}},
		{"columns", columns, credOptions{" ", 3, 0, true, false}, []credRow{
			{"right", "alice", "one", "alice"},
			{"wrong", "alice", "two", ""},
			{"a short line", "line", "short", ""},
		}},
		{"csv", csv, credOptions{",", 2, 4, false, false}, []credRow{
			{"right", "aLiCe", "one", "alice"},
			{"wrong", "bob", "TWO", ""},
			{"another column", "zip", "zap", ""},
		}},
		{"two signs", "a:b::x:y\nc::d\n", credOptions{"::", 0, 1, true, false}, []credRow{
			{"right", "a:b", "x:y", "a:b"},
			{"wrong", "a", "b", ""},
		}},
		{"tabs", "a\tx\nb\t\n", credOptions{"\t", 0, 1, true, false}, []credRow{
			{"right", "a", "x", "a"},
			{"cut off with the line end", "b", "", ""},
		}},
		{"empty", "", plainOptions, []credRow{
			{"nobody", "alice", "one", ""},
			{"no name", "", "", ""},
		}},
		{"mark", "\ufeffalice:one\n", plainOptions, []credRow{
			{"behind a byte order mark", "alice", "one", ""},
			{"with it", "\ufeffalice", "one", "\ufeffalice"},
		}},
		{"hashed", hashes, plainOptions, []credRow{
			{"right", "alice", "one", "alice"},
			{"wrong", "alice", "two", ""},
			{"unknown", "zed", "one", ""},
			{"the hash itself", "alice", md5Of("one"), ""},
			{"in capitals", "upper", "one", ""},
			{"in clear", "clear", "one", ""},
		}},
	} {
		t.Run(section.name, func(t *testing.T) {
			path := writeUsers(t, section.text)
			for _, row := range section.rows {
				hashed := section.name == "hashed"
				job := credJob{path, section.options, hashed, row.user, row.password}
				want := refused
				if row.subject != "" {
					want = fmt.Sprintf("in as %q", row.subject)
				}
				if peer, ours := askTwisted(t, twisted, job), askFile(t, job); peer != want ||
					ours != want {
					t.Errorf("%s: Twisted: %s; ours: %s; want %s", row.reason, peer, ours, want)
				}
			}
		})
	}
}

// A credRow is a login and the subject it leads to. If subject is empty, the login must be refused.
type credRow struct{ reason, user, password, subject string }

// The rows that portal.File decides differently from FilePasswordDB. A row also fails if both give
// the same verdict.
func TestFileUnlikeTwisted(t *testing.T) {
	long := strings.Repeat("x", 5000)
	twisted := startPeer(t, "cred.py")
	for _, tt := range []struct {
		rule, text     string
		options        credOptions
		user, password string
		peer, ours     string
	}{
		{"# begins a comment", "# note:x\n", plainOptions, "# note", "x",
			`in as "# note"`, refused},
		{"nobody has an empty name", ":x\n", plainOptions, "", "x", `in as ""`, refused},
		{"nor the line of a colon", ":\n", plainOptions, "", "", `in as ""`, refused},
		{"an empty password closes an account", "erin:\n", plainOptions, "erin", "",
			`in as "erin"`, refused},
		{"blanks are none", "erin:   \n", plainOptions, "erin", "", `in as "erin"`, refused},
		{"the first line counts, with a cache too", "ann:x\nann:y\n", cachedOptions, "ann", "x",
			refused, `in as "ann"`},
		{"the second does not", "ann:x\nann:y\n", cachedOptions, "ann", "y", `in as "ann"`,
			refused},
		{"small letters are those of Unicode", "Jörg:x\n", foldedOptions, "JÖRG", "x",
			refused, `in as "jörg"`},
		{"in the subject as well", "JÖRG:x\n", foldedOptions, "JÖRG", "x",
			`in as "jÖrg"`, `in as "jörg"`},
		{"no control characters in a name", "a\x00b:x\n", plainOptions, "a\x00b", "x",
			`in as "a\x00b"`, refused},
		{"not even CR", "a\rb:x\n", plainOptions, "a\rb", "x", `in as "a\rb"`, refused},
		{"a name has up to 255 bytes", long[:256] + ":x\n", plainOptions, long[:256], "x",
			`in as "` + long[:256] + `"`, refused},
		{"a password has up to 1 KiB", "ann:" + long[:1025], plainOptions, "ann", long[:1025],
			`in as "ann"`, refused},
		{"a line has up to 4 KiB", "ann:x:" + long + "\n", plainOptions, "ann", "x",
			`in as "ann"`, refused},
		{"no delimiter is the colon", "ann:x\n", credOptions{"", 0, 1, true, false}, "ann", "x",
			undecided, `in as "ann"`},
		{"two columns are needed", "ann:x\n", credOptions{":", 1, 1, true, false}, "x", "x",
			`in as "x"`, undecided},
		{"columns 0 and 0 are 0 and 1", "ann:x\n", credOptions{":", 0, 0, true, false}, "ann", "x",
			refused, `in as "ann"`},
	} {
		job := credJob{writeUsers(t, tt.text), tt.options, false, tt.user, tt.password}
		differ(t, tt.rule, askTwisted(t, twisted, job), tt.peer, askFile(t, job), tt.ours)
	}
	dir := t.TempDir()
	job := credJob{dir, plainOptions, false, "ann", "x"}
	differ(t, "what is no file tells nothing", askTwisted(t, twisted, job), refused,
		askFile(t, job), undecided)
	job = credJob{filepath.Join(dir, "none"), cachedOptions, false, "ann", "x"}
	differ(t, "no file has no users, with a cache too", askTwisted(t, twisted, job), undecided,
		askFile(t, job), refused)
	job.Options = plainOptions
	peer, ours := askTwisted(t, twisted, job), askFile(t, job)
	if peer != refused || ours != refused {
		t.Errorf("no file: Twisted: %s; ours: %s", peer, ours)
	}
}

func differ(t *testing.T, rule, peer, wantPeer, ours, wantOurs string) {
	t.Helper()
	if peer != wantPeer || ours != wantOurs || peer == ours {
		t.Errorf("%s: Twisted: %.80s, want %.80s; ours: %s, want %s",
			rule, peer, wantPeer, ours, wantOurs)
	}
}

// Users are added and removed while both checkers use the file.
func TestFileChangesLikeTwisted(t *testing.T) {
	twisted := startPeer(t, "cred.py")
	path := writeUsers(t, "ann:x\n")
	job := credJob{path, plainOptions, false, "ann", "x"}
	for _, step := range []struct{ text, want string }{
		{"ann:x\n", `in as "ann"`}, {"ann:y\n", refused}, {"bob:x\n", refused}, {"", refused},
		{"bob:x\nann:x\n", `in as "ann"`},
	} {
		if err := os.WriteFile(path, []byte(step.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if peer, ours := askTwisted(t, twisted, job), askFile(t, job); peer != step.want ||
			ours != step.want {
			t.Errorf("%q: Twisted: %s; ours: %s; want %s", step.text, peer, ours, step.want)
		}
	}
}

// writeUsers writes a file of passwords and returns its path.
func writeUsers(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "users")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
