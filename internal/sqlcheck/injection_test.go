package sqlcheck

import (
	"fmt"
	"strings"
	"testing"

	"github.com/countersign-go/countersign/portal"
)

// attacks are texts that change a query, a format or a pattern if a program inserts them there.
// FORGED stands for a hash whose password the attacker knows.
var attacks = []string{
	"' OR '1'='1", "' OR 1=1 --", "admin' --", "admin'--", "admin'/*", "admin';", `admin"`, "'",
	"''", "'; DROP TABLE users; --", "'); DELETE FROM users; --",
	"x'; UPDATE users SET hash='FORGED", "nobody' UNION SELECT 'admin', 'FORGED' --",
	"nobody' UNION ALL SELECT name, hash FROM users --", `admin\`, `\' OR 1=1 --`,
	`\\' OR 1=1 --`, `\x27 OR 1=1`, `E'\'`, "$$ OR 1=1 --", "$q$admin$q$", "ʼ OR 1=1 --",
	"’ OR ’1’=’1", "＇ OR 1=1 --", "‘admin’", "%27 OR 1=1", "0x61646d696e", "%", "_", "adm%",
	"adm_n", "admin%00", "*", "a\u200bdmin", "аdmin", "ADMIN\u0131", "?", "$1", "$2",
	":name", "@name", "?1", "%s", "%d%n", "{0}", "{{.}}", "${name}", "NULL", "TRUE",
	"admin ", " admin",
	"admin\u00a0", "pg_sleep(0.1)", "'||pg_sleep(0.1)||'", "1; ATTACH 'x' AS y",
	strings.Repeat("'", 255), strings.Repeat("x", 255), strings.Repeat("ж", 127),
}

// forbidden are texts that are not names. The database is not queried for them.
var forbidden = []string{
	"admin\x00", "\x00", "admin\x00' --", "admin\n", "admin\r\n--", "\x1a", "admin\u0085",
	"\xbf' OR 1=1", "\xc0\xa7 OR 1=1", strings.Repeat("x", 256), strings.Repeat("'", 1<<20),
}

// Only the right password logs admin in, whatever the client sends as the name and the password,
// and the table does not change.
func TestInjection(t *testing.T) {
	each(t, func(t *testing.T, d database) {
		forged := strings.NewReplacer("FORGED", hashed(t, "x"))
		db := d.users(t, [2]any{"admin", hashed(t, "right")}, [2]any{"root", hashed(t, "right")})
		for _, query := range d.placeholders {
			users := &portal.SQL{DB: db, Query: query}
			for _, attack := range append(attacks, forbidden...) {
				attack = forged.Replace(attack)
				short := fmt.Sprintf("%.40q", attack)
				judges(t, short+" for a name", users, attack, "x", "")
				judges(t, short+" for both", users, attack, attack, "")
				judges(t, short+" for a password", users, "admin", attack, "")
				judges(t, short+" behind the password", users, "admin", "right"+attack, "")
			}
			judges(t, "right", users, "admin", "right", "admin")
		}
		var rows int
		const count = "SELECT count(*) FROM users " +
			"WHERE name IN ('admin', 'root') AND hash LIKE '$2a$04$%'"
		if err := db.QueryRow(count).Scan(&rows); err != nil || rows != 2 {
			t.Errorf("%d of 2 users are left: %v", rows, err)
		}
	})
}

// Attack texts reach the database unchanged: each one is the name of a user that can log in under
// that name only.
func TestInjectionArrives(t *testing.T) {
	each(t, func(t *testing.T, d database) {
		db := d.users(t)
		for i, attack := range attacks {
			d.add(t, db, attack, hashed(t, fmt.Sprint(i)))
		}
		for _, query := range d.placeholders {
			users := &portal.SQL{DB: db, Query: query}
			for i, attack := range attacks {
				judges(t, attack, users, attack, fmt.Sprint(i), attack)
				judges(t, attack, users, attack, fmt.Sprint(i+1), "")
			}
		}
	})
}

// The attacks are real: if the name is inserted into the text of the query, they find a user.
func TestInjectionWouldWork(t *testing.T) {
	each(t, func(t *testing.T, d database) {
		db := d.users(t, [2]any{"admin", hashed(t, "right")})
		for _, attack := range []string{
			"nobody' UNION SELECT 'admin', 'FORGED' --", "' OR 1=1 --", "admin' --", "' OR '1'='1",
		} {
			attack = strings.ReplaceAll(attack, "FORGED", hashed(t, "x"))
			var name, hash string
			err := db.QueryRow("SELECT name, hash FROM users WHERE name = '"+attack+"'").
				Scan(&name, &hash)
			if err != nil || name != "admin" || hash == "" {
				t.Errorf("%.40q: %q, %q, %v", attack, name, hash, err)
			}
		}
	})
}
