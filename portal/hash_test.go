package portal_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/portal"
)

// load reads a file of testdata.
func load(t testing.TB, name string, into any) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, into); err != nil {
		t.Fatal(name, err)
	}
}

// writeUsers writes a file of passwords and returns its path.
func writeUsers(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "users")
	writeTo(t, path, text)
	return path
}

func writeTo(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func password(user, given string) portal.Password {
	return portal.Password{User: user, Password: creds.Secret(given)}
}

// wants checks that the checker names subject, or finds the credentials wrong if subject is "".
func wants(t *testing.T, reason string, checker portal.Checker, c portal.Credentials,
	subject string) error {
	t.Helper()
	got, err := checker.Check(context.Background(), c)
	if got != subject || (err == nil) != (subject != "") ||
		err != nil && !errors.Is(err, portal.ErrUnauthorized) {
		t.Errorf("%s: %q, %v; want %q", reason, got, err, subject)
	}
	return err
}

// Hashes that other programs have made are judged as those programs do.
func TestHashes(t *testing.T) {
	var vectors struct {
		Hashes []struct{ Name, Password, Stored string }
	}
	load(t, "hashes.json", &vectors)
	var file strings.Builder
	for _, row := range vectors.Hashes {
		fmt.Fprintf(&file, "%s:%s\n", row.Name, row.Stored)
	}
	users := &portal.File{Path: writeUsers(t, file.String())}
	if err := users.Load(); err != nil {
		t.Fatal(err)
	}
	rows := 0
	for _, row := range vectors.Hashes {
		rows++
		wants(t, row.Name, users, password(row.Name, row.Password), row.Name)
		wants(t, row.Name+", one more", users, password(row.Name, row.Password+"x"), "")
		cut := row.Password[:len(row.Password)-1]
		wants(t, row.Name+", one less", users, password(row.Name, cut), "")
		wants(t, row.Name+", the hash itself", users, password(row.Name, row.Stored), "")
	}
	if rows != 56 {
		t.Errorf("%d rows, want 56", rows)
	}
}

// To bcrypt, every password over 72 bytes is equal to its first 72 bytes.
func TestBcryptLength_S11(t *testing.T) {
	var vectors struct {
		Hashes []struct{ Name, Password, Stored string }
	}
	load(t, "hashes.json", &vectors)
	for _, row := range vectors.Hashes {
		if row.Name != "bcrypt 2b, 72 bytes" {
			continue
		}
		users := &portal.File{Path: writeUsers(t, "ann:"+row.Stored)}
		wants(t, "72 bytes", users, password("ann", row.Password), "ann")
		for _, user := range []string{"ann", "nobody"} {
			err := wants(t, user, users, password(user, row.Password+"x"), "")
			if !strings.Contains(fmt.Sprint(err), "72 bytes") {
				t.Errorf("the log is not told why: %v", err)
			}
		}
		return
	}
	t.Error("no such row")
}

// The cost of SHA-crypt grows with the password, so only the beginning of a long password is
// hashed.
func TestSHACryptLength_S11(t *testing.T) {
	cost := map[int]time.Duration{}
	for _, length := range []int{256, 1024} {
		users := &portal.File{Path: writeUsers(t, "ann:"+sha512OfX256)}
		settle(t, users.Path)
		cost[length] = time.Hour
		for range 20 {
			start := time.Now()
			err := wants(t, fmt.Sprint(length), users,
				password("ann", strings.Repeat("x", length)), map[int]string{256: "ann"}[length])
			cost[length] = min(cost[length], time.Since(start))
			if length > 256 && !strings.Contains(fmt.Sprint(err), "256 bytes") {
				t.Errorf("the log is not told why: %v", err)
			}
		}
	}
	if cost[1024] > 2*cost[256] {
		t.Errorf("1 KiB costs %v, and 256 bytes %v", cost[1024], cost[256])
	}
}

// bcrypt appends a NUL to a password and repeats it.
func TestBcryptNUL_S11(t *testing.T) {
	users := &portal.File{Path: writeUsers(t, "ann:"+bcryptOfX)}
	wants(t, "right", users, password("ann", "x"), "ann")
	wants(t, "the same to bcrypt", users, password("ann", "x\x00x"), "")
}

// sha512OfX256 is SHA-crypt of the letter x 256 times, as "openssl passwd -6" computes it.
const sha512OfX256 = "$6$saltsalt$" +
	"KikEFlsLunfnWnPlzCl6SAg/fpssdKMQ16oXhwRNIt0" +
	"v6ZoJ8QjaqTdVe7zYw69CEAgfbGeMCM.YZ5yNoqURM."

// bcryptOfX is bcrypt of the password x, at the least cost. pbkdf2OfX is PBKDF2 of it with 1000
// rounds.
const (
	bcryptOfX = "$2b$04$tRFVbreEomvHv9ZenA48WeBbmFG1PJy/tQWItv57BwdN1MOtQoLcC"
	pbkdf2OfX = "$pbkdf2-sha256$1000$UYrx/p8TQghBSAkhRAghBA$" +
		"448C/CLSmdyqPsITS4.5pHWAmk.BhKLmmaLm3lsZX7M"
)

func TestRefusedFormats(t *testing.T) {
	var vectors struct {
		Refused []struct{ Format, Stored string }
	}
	load(t, "hashes.json", &vectors)
	rows := 0
	for _, row := range vectors.Refused {
		rows++
		users := &portal.File{Path: writeUsers(t, "bob:"+bcryptOfX+"\nann:"+row.Stored+"\n")}
		for _, err := range []error{
			users.Load(), wants(t, row.Format, users, password("ann", "x"), ""),
		} {
			text := fmt.Sprint(err)
			if !strings.Contains(text, "line 2: ") || !strings.Contains(text, row.Format) ||
				strings.Contains(text, row.Stored) {
				t.Errorf("%s: %v", row.Format, err)
			}
		}
		wants(t, "others are not kept out", users, password("bob", "x"), "bob")
	}
	if rows != 5 {
		t.Errorf("%d rows, want 5", rows)
	}
}

// A line that costs too much, or that is meaningless, is refused without being tried.
func TestHashBounds(t *testing.T) {
	const (
		salt16, key32 = "c2FsdHNhbHRzYWx0c2FsdA", "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE"
		blow          = "cYoBEMzsVDQt/MdDnbnsfOw.d6cGSowvBz3Ll3CEnl1T6.IWvih/6"
		sha256        = "ZnPzQQVemTpVqQa3ptT5UFeLRWvLUlQJ6WbH0mU7i79"
		ysalt         = "ZjX8YzmJiqsaigv2QGgvH1"
		yes           = "kjJu0SMz4v8.TUbYEop8AFOCvZtorj28qPU/7eL12e/"
		argon         = "$argon2id$v=19$"
		pbkdf2        = "$pbkdf2-sha256$"
		cost, format  = "costs more", "is malformed"
		no            = "not supported"
	)
	for _, tt := range []struct{ reason, stored, text string }{
		{"bcrypt that takes years", "$2b$31$" + blow, cost},
		{"bcrypt over the bound", "$2b$17$" + blow, cost},
		{"bcrypt of no cost", "$2b$03$" + blow, format},
		{"bcrypt of a cost that is no number", "$2b$x4$" + blow, format},
		{"bcrypt cut", "$2b$04$" + blow[:52], format},
		{"bcrypt with more", "$2b$04$" + blow + "x", format},
		{"bcrypt with a foreign character", "$2b$04$" + blow[:52] + "!", format},
		{"bcrypt without the third dollar", "$2b$04." + blow, format},
		{"the bcrypt that had a bug", "$2x$04$" + blow, no},

		{"yescrypt over the bound", "$y$jET$" + ysalt + "$" + yes, cost},
		{"yescrypt of 2^64 blocks", "$y$jzT$" + ysalt + "$" + yes, cost},
		{"yescrypt of 2^31 blocks", "$y$jS.$" + ysalt + "$" + yes, cost},
		{"yescrypt of few blocks", "$y$j6T$" + ysalt + "$" + yes, format},
		{"yescrypt of other flags", "$y$/9T$" + ysalt + "$" + yes, format},
		{"yescrypt with a parameter more", "$y$j9T/.$" + ysalt + "$" + yes, format},
		{"yescrypt of no number", "$y$j-T$" + ysalt + "$" + yes, format},
		{"yescrypt of no block size", "$y$j9-$" + ysalt + "$" + yes, format},
		{"yescrypt without a salt", "$y$j9T$$" + yes, format},
		{"yescrypt with bits behind the salt", "$y$j9T$zz$" + yes, format},
		{"yescrypt of a long salt", "$y$j9T$" + strings.Repeat("z", 88) + "$" + yes, format},
		{"yescrypt of another alphabet", "$y$j9T$" + ysalt + "$_" + yes[1:], format},
		{"yescrypt with bits behind the hash", "$y$j9T$" + ysalt + "$" + yes[:42] + "z", format},
		{"yescrypt of another length", "$y$j9T$" + ysalt + "$" + yes + "xxxx", format},
		{"yescrypt without a hash", "$y$j9T$" + ysalt, format},
		{"the yescrypt of GOST", "$gy$j9T$" + ysalt + "$" + yes, no},

		{"Argon2id of 10 GiB", argon + "m=10485760,t=1,p=1$" + salt16 + "$" + key32, cost},
		{"Argon2id over the bound", argon + "m=262145,t=1,p=1$" + salt16 + "$" + key32, cost},
		{"Argon2id of many passes", argon + "m=65536,t=17,p=1$" + salt16 + "$" + key32, cost},
		{"Argon2id of 2^32 passes", argon + "m=8,t=4294967296,p=1$" + salt16 + "$" + key32, cost},
		{"Argon2id of 256 lanes", argon + "m=65536,t=1,p=256$" + salt16 + "$" + key32, cost},
		{"Argon2id of no passes", argon + "m=64,t=0,p=1$" + salt16 + "$" + key32, format},
		{"Argon2id of no lanes", argon + "m=64,t=1,p=0$" + salt16 + "$" + key32, format},
		{"Argon2id of no memory", argon + "m=0,t=1,p=1$" + salt16 + "$" + key32, format},
		{"Argon2id without passes", argon + "m=64,p=1$" + salt16 + "$" + key32, format},
		{"Argon2id in another order", argon + "t=1,m=64,p=1$" + salt16 + "$" + key32, format},
		{"Argon2id of another version", "$argon2id$v=16$m=64,t=1,p=1$" + salt16 + "$" + key32,
			format},
		{"Argon2id without a salt", argon + "m=64,t=1,p=1$$" + key32, format},
		{"Argon2id without a hash", argon + "m=64,t=1,p=1$" + salt16 + "$", format},
		{"Argon2id of another alphabet", argon + "m=64,t=1,p=1$" + salt16 + "$_" + key32, format},
		{"Argon2i", "$argon2i$v=19$m=64,t=1,p=1$" + salt16 + "$" + key32, no},

		{"PBKDF2 that takes minutes", pbkdf2 + "999999999$" + salt16 + "$" + key32, cost},
		{"PBKDF2 over the bound", pbkdf2 + "10000001$" + salt16 + "$" + key32, cost},
		{"PBKDF2 of 2^63 rounds", pbkdf2 + "9223372036854775808$" + salt16 + "$" + key32, cost},
		{"PBKDF2 of no rounds", pbkdf2 + "0$" + salt16 + "$" + key32, format},
		{"PBKDF2 of fewer", pbkdf2 + "-1$" + salt16 + "$" + key32, format},
		{"PBKDF2 of a short salt", pbkdf2 + "1000$c2E$" + key32, format},
		{"PBKDF2 of one byte", pbkdf2 + "1000$" + salt16 + "$MA", format},
		{"PBKDF2 of another length", pbkdf2 + "i=1000,l=31$" + salt16 + "$" + key32, format},
		{"PBKDF2 of more than one hash", pbkdf2 + "1000$" + salt16 + "$" + key32[:40] + key32,
			format},
		{"PBKDF2 with SHA-1", "$pbkdf2$1000$" + salt16 + "$" + key32, no},

		{"SHA-crypt that takes minutes", "$5$rounds=999999999$salt$" + sha256, cost},
		{"SHA-crypt over the bound", "$5$rounds=1000001$salt$" + sha256, cost},
		{"SHA-crypt of few rounds", "$5$rounds=999$salt$" + sha256, format},
		{"SHA-crypt of no number", "$5$rounds=$salt$" + sha256, format},
		{"SHA-crypt of something else", "$5$cost=1000$salt$" + sha256, format},
		{"SHA-crypt of a long salt", "$5$saltsaltsaltsalts$" + sha256, format},
		{"SHA-crypt of the other length", "$6$salt$" + sha256, format},
		{"SHA-crypt without a salt field", "$5$" + sha256, format},

		{"a long one", "$5$" + strings.Repeat("x", 600) + "$", "over 512 bytes"},
		{"in clear", "canary-c1ear", "in clear"},
		{"another", "$canary-0ther$x", "this $ format"},
	} {
		users := &portal.File{Path: writeUsers(t, "ann:"+tt.stored)}
		err := users.Load()
		if text := fmt.Sprint(err); !strings.Contains(text, tt.text) ||
			strings.Contains(text, "canary-") {
			t.Errorf("%s: %v; want %q", tt.reason, err, tt.text)
		}
	}
}

// An account that was locked with the system's tools must not keep the service from starting.
func TestLocked(t *testing.T) {
	for _, stored := range []string{"!" + bcryptOfX, "!", "*", "!!", "*LK*"} {
		users := &portal.File{Path: writeUsers(t, "bob:"+bcryptOfX+"\nann:"+stored)}
		if err := users.Load(); err != nil {
			t.Errorf("%s: %v", stored, err)
		}
		err := wants(t, stored, users, password("ann", "x"), "")
		if !strings.Contains(fmt.Sprint(err), "line 2: the account is closed") {
			t.Errorf("%s: the log is not told why: %v", stored, err)
		}
		wants(t, "others", users, password("bob", "x"), "bob")
	}
}

func TestPBKDF2Forms(t *testing.T) {
	// The same hash in the forms of passlib and of the PHC string format.
	const row = "$1rr3nhOCMIYQIuS89x5DaA$59BjObHWV1fGsNnddT/U6X92e.3eFq59ew4rCGARrxE"
	for _, stored := range []string{
		"$pbkdf2-sha256$1000" + row, "$pbkdf2-sha256$i=1000" + row,
		"$pbkdf2-sha256$i=1000,l=32" + row,
		"$pbkdf2-sha256$i=1000,l=32" + strings.ReplaceAll(row, ".", "+"),
	} {
		users := &portal.File{Path: writeUsers(t, "ann:"+stored)}
		wants(t, stored, users, password("ann", "correct horse"), "ann")
		wants(t, stored, users, password("ann", "correct house"), "")
	}
}
