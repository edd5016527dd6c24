package sqlcheck

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A server is a PostgreSQL server in a separate folder, which also holds its socket. It does not
// listen on a port.
type server struct {
	dir   string
	alive io.Closer // the keeper stops the server when this is closed
	cmd   *exec.Cmd
}

// started is the server, or nil if no test has needed it yet.
var started *server

var startPostgres = sync.OnceValues(func() (*server, error) {
	s, err := newServer()
	started = s
	return s, err
})

func TestMain(m *testing.M) {
	code := m.Run()
	if started != nil {
		if err := started.stop(); err != nil {
			fmt.Fprintln(os.Stderr, "stopping PostgreSQL:", err)
			code = max(code, 1)
		}
	}
	os.Exit(code)
}

// keeper is a shell script that runs the server until the script's standard input ends, and then
// removes the folder. The input also ends if the test process is killed. The script continues even
// if its output is not read.
const keeper = `
trap '' PIPE
dir=$1 bin=$2
if "$bin/initdb" -D "$dir/data" -U postgres -A trust -E UTF8 --locale=C.UTF-8 -N >"$dir/log" 2>&1 &&
	"$bin/pg_ctl" -D "$dir/data" -l "$dir/log" -w -t 30 -o "-c listen_addresses= -k $dir -F" start \
		>/dev/null 2>&1
then echo ready
else cat "$dir/log"; exec </dev/null
fi
cat >/dev/null
[ ! -f "$dir/data/postmaster.pid" ] || "$bin/pg_ctl" -D "$dir/data" -m immediate -w stop >/dev/null
cd / && rm -rf "$dir"
`

func newServer() (*server, error) {
	bin, err := postgresFolder()
	if err != nil {
		return nil, err
	}
	owner, err := unprivileged()
	if err != nil {
		return nil, err
	}
	s := &server{}
	if s.dir, err = os.MkdirTemp("", "sqlcheck-"); err != nil {
		return nil, err
	}
	s.cmd = exec.Command("/bin/sh", "-c", keeper, "keeper", s.dir, bin)
	s.cmd.Dir = s.dir
	// In a separate process group, it survives an interrupt from the terminal, and so can clean up.
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: owner}
	if owner != nil {
		if err := os.Chown(s.dir, int(owner.Uid), int(owner.Gid)); err != nil {
			return nil, err
		}
	}
	if s.alive, err = s.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	const ready = "ready\n"
	said := make([]byte, 4<<10)
	n, err := io.ReadAtLeast(out, said, len(ready))
	if err != nil || string(said[:n]) != ready {
		rest, _ := io.ReadAll(out)
		return nil, errors.Join(err, fmt.Errorf("PostgreSQL does not start: %s%s", said[:n], rest),
			s.cmd.Wait())
	}
	return s, nil
}

func (s *server) stop() error {
	s.alive.Close()
	kill := time.AfterFunc(30*time.Second, func() { s.cmd.Process.Kill() })
	defer kill.Stop()
	return s.cmd.Wait()
}

// postgresFolder returns the folder of initdb and postgres. Debian keeps them out of the PATH, in a
// folder for each version.
func postgresFolder() (string, error) {
	candidates, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil {
		return "", err
	}
	if path, err := exec.LookPath("initdb"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err != nil {
			return "", err
		}
		candidates = append(candidates, path)
	}
	for _, initdb := range slices.Backward(candidates) {
		dir := filepath.Dir(initdb)
		if _, err := exec.LookPath(filepath.Join(dir, "postgres")); err == nil {
			return dir, nil
		}
	}
	return "", errors.New("initdb and postgres are missing: install PostgreSQL, which is the " +
		"package postgresql on Debian")
}

// unprivileged returns the user to run the server as, since it refuses to run as root. It returns
// nil if the tests do not run as root; the server then runs as the same user.
func unprivileged() (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	account, err := user.Lookup("postgres")
	if err != nil {
		account, err = user.Lookup("nobody")
	}
	if err != nil {
		return nil, fmt.Errorf("PostgreSQL does not run as root: add a user postgres: %w", err)
	}
	uid, err := strconv.ParseUint(account.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(account.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

// The server ends when it is stopped, and its folder is removed.
func TestPostgresIsStopped(t *testing.T) {
	s, err := newServer()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(s.dir, ".s.PGSQL.5432")); err != nil {
		t.Error(err)
	}
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(s.dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder is still there: %v", err)
	}
}
