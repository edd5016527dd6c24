package interop

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/portal"
)

// command runs a program that prints a line or a hash, with the password on its standard input.
func command(t *testing.T, input, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Stdin = strings.NewReader(input + "\n")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s, of the Debian packages apache2-utils, openssl, perl-base: %v", name, err)
	}
	return strings.TrimSpace(string(out))
}

var hashedPasswords = []string{
	"x", "correct horse", "пароль", " blanks ", "$6$:'\"\\%s", strings.Repeat("0123456789ab", 6),
}

// Hashes that Apache, OpenSSL and two Python packages make during the test match their passwords
// and no others.
func TestHashesOfOthers(t *testing.T) {
	maker := startPeer(t, "cred.py")
	hash := func(name string) func(string) string {
		return func(password string) string {
			maker.write(t, map[string]string{"make": name, "password": password})
			var answer struct{ Stored string }
			maker.read(t, &answer)
			return answer.Stored
		}
	}
	openssl := func(kind string) func(string) string {
		return func(password string) string {
			return command(t, password, "openssl", "passwd", kind, "-stdin")
		}
	}
	// Perl uses the system's crypt(3), which on Debian comes from libxcrypt.
	perl := func(setting string) func(string) string {
		return func(password string) string {
			const program = `chomp(my $p = <STDIN>); print crypt($p, $ARGV[0])`
			return command(t, password, "perl", "-we", program, setting)
		}
	}
	htpasswd := func(args ...string) func(string) string {
		return func(password string) string {
			line := command(t, password, "htpasswd", append(args, "-ni", "ann")...)
			return strings.TrimPrefix(line, "ann:")
		}
	}
	for _, tt := range []struct {
		name   string
		make   func(password string) string
		prefix string
		good   bool // we support the format
	}{
		{"htpasswd -B", htpasswd("-B", "-C", "5"), "$2y$05$", true},
		{"yescrypt of crypt(3)", perl("$y$j75$ZjX8YzmJiqsaigv2QGgvH1"), "$y$j75$", true},
		{"openssl passwd -6", openssl("-6"), "$6$", true},
		{"openssl passwd -5", openssl("-5"), "$5$", true},
		{"argon2-cffi", hash("argon2-cffi"), "$argon2id$v=19$", true},
		{"pbkdf2_sha256 of passlib", hash("passlib pbkdf2-sha256"), "$pbkdf2-sha256$1000$", true},
		{"pbkdf2_sha512 of passlib", hash("passlib pbkdf2-sha512"), "$pbkdf2-sha512$1000$", true},
		{"sha256_crypt of passlib", hash("passlib sha256-crypt"), "$5$rounds=1000$", true},
		{"sha512_crypt of passlib", hash("passlib sha512-crypt"), "$6$", true},
		{"htpasswd -m", htpasswd("-m"), "$apr1$", false},
		{"htpasswd -s", htpasswd("-s"), "{SHA}", false},
		{"htpasswd -p", htpasswd("-p"), "", false},
		{"openssl passwd -1", openssl("-1"), "$1$", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			passwords := hashedPasswords
			if !tt.good {
				passwords = passwords[:1] // each wrong one costs as much as a hash of cost 10
			}
			for _, password := range passwords {
				stored := tt.make(password)
				if !strings.HasPrefix(stored, tt.prefix) {
					t.Fatalf("a hash of another format: %.12q", stored)
				}
				users := &portal.File{Path: writeUsers(t, "ann:"+stored+"\n")}
				if err := users.Load(); (err == nil) != tt.good {
					t.Errorf("%q: %v", password, err)
				}
				wantVerdict(t, users, password, tt.good)
				if !tt.good {
					continue
				}
				wantVerdict(t, users, password+"x", false)
				wantVerdict(t, users, password[:len(password)-1], false)
				wantVerdict(t, users, stored, false)
			}
		})
	}
}

func wantVerdict(t *testing.T, users *portal.File, password string, good bool) {
	t.Helper()
	given := portal.Password{User: "ann", Password: creds.Secret(password)}
	subject, err := users.Check(t.Context(), given)
	if good != (err == nil) || good != (subject == "ann") {
		t.Errorf("%.20q: %q, %v", password, subject, err)
	}
}
