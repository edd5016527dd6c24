package sqlcheck

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/countersign-go/countersign/portal"
)

// Hashes in each format of package portal, made by other programs, pass through a database
// unchanged.
func TestHashes(t *testing.T) {
	data, err := os.ReadFile("../../portal/testdata/hashes.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors struct {
		Hashes []struct{ Name, Password, Stored string }
	}
	if err := json.Unmarshal(data, &vectors); err != nil {
		t.Fatal(err)
	}
	if len(vectors.Hashes) != 56 {
		t.Errorf("%d hashes, want 56", len(vectors.Hashes))
	}
	each(t, func(t *testing.T, d database) {
		db := d.users(t)
		users := &portal.SQL{DB: db, Query: d.query()}
		for _, row := range vectors.Hashes {
			d.add(t, db, row.Name, row.Stored)
			judges(t, row.Name, users, row.Name, row.Password, row.Name)
			judges(t, row.Name+", one more", users, row.Name, row.Password+"x", "")
		}
	})
}

// The database hashes passwords itself, as in many existing tables. A login with its bcrypt hash
// succeeds; the same password hashed with MD5 or DES is refused.
func TestHashedByPostgres(t *testing.T) {
	d := databases()[0]
	db := d.users(t)
	users := &portal.SQL{DB: db, Query: d.query()}
	const insert = "INSERT INTO users VALUES ($1, crypt($2, gen_salt($3, $4)))"
	for _, tt := range []struct {
		reason, password, algorithm string
		rounds                      int
		good                        bool
	}{
		{"words", "correct horse", "bf", 4, true},
		{"a higher cost", "x", "bf", 8, true},
		{"beyond ASCII", "пароль", "bf", 4, true},
		{"one byte", "x", "bf", 4, true},
		{"MD5", "x", "md5", 0, false},
		{"DES", "x", "des", 0, false},
		{"extended DES", "x", "xdes", 725, false},
	} {
		execute(t, db, insert, tt.reason, tt.password, tt.algorithm, tt.rounds)
		want := ""
		if tt.good {
			want = tt.reason
		}
		judges(t, tt.reason, users, tt.reason, tt.password, want)
		judges(t, tt.reason+", wrong", users, tt.reason, tt.password+"x", "")
		var agrees bool
		err := db.QueryRow("SELECT hash = crypt($2, hash) FROM users WHERE name = $1",
			tt.reason, tt.password).Scan(&agrees)
		if err != nil || !agrees {
			t.Errorf("%s: the database does not know its own hash: %v", tt.reason, err)
		}
	}
}
