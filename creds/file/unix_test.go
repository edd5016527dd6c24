//go:build unix

package file_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/creds/file"
)

// stranger is the ID of a user that a test run by root can become, or give files to.
const stranger = 65534

// playOnUnix plays the roles of processes that give up rights which they cannot get back.
func playOnUnix(role string, dir *file.Dir) {
	var err error
	switch role {
	case "full":
		var limit syscall.Rlimit
		err = syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit)
		limit.Cur = 4 << 10
		err = errors.Join(err, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit))
	case "readonly":
		// Root may write anywhere. The path to the folder may be closed to other users, so stay
		// there.
		err = os.Chdir(filepath.Dir(dir.Path))
		dir = &file.Dir{Path: filepath.Base(dir.Path)}
		if os.Geteuid() == 0 {
			err = errors.Join(err, syscall.Setgid(stranger), syscall.Setuid(stranger))
		}
	default:
		panic("no such role: " + role)
	}
	if err != nil {
		panic(err)
	}
	for _, record := range []string{strings.Repeat(hidden, 4<<10/len(hidden)), "small"} {
		err := dir.Update(context.Background(), "a",
			func([]byte) ([]byte, error) { return []byte(record), nil })
		var number syscall.Errno
		files, _ := os.ReadDir(dir.Path)
		fmt.Println("full:", errors.Is(err, file.ErrFull),
			"read-only:", errors.Is(err, file.ErrReadOnly),
			"errno:", errors.As(err, &number), "files:", len(files))
		if err != nil && (strings.Contains(err.Error(), hidden) ||
			!strings.Contains(err.Error(), dirOf(dir))) {
			panic("the error shows the record, or not the folder")
		}
	}
	record, err := dir.Load(context.Background(), "a")
	fmt.Printf("%.5s %v\n", record, err)
}

func dirOf(dir *file.Dir) string { return filepath.Clean(dir.Path) }

// perform returns the output of a process with a role.
func perform(t *testing.T, role string, dir *file.Dir) string {
	t.Helper()
	cmd, lines := start(t, role, dir)
	var all []string
	for lines.Scan() {
		all = append(all, lines.Text())
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	return strings.Join(all, "\n")
}

// A limit on the size of files simulates a full disk: writing stops in the middle of a record.
func TestFullDisk_K11(t *testing.T) {
	dir := newDir(t)
	put(t, dir, "a", "first")
	const want = "full: true read-only: false errno: true files: 2\n" +
		"full: false read-only: false errno: false files: 2\n" +
		"small <nil>"
	if got := perform(t, "full", dir); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := files(t, dir, "a"); !slices.Equal(got, []string{".lock", ".record"}) {
		t.Errorf("files %q", got)
	}

	for _, number := range []syscall.Errno{syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG} {
		err := file.Writing(&fs.PathError{Op: "write", Path: "x", Err: number})
		wantDirErr(t, err, file.ErrFull, "free some", "folder", number.Error())
		wantDirErr(t, err, number)
	}
}

func TestReadOnlyFolder_K11(t *testing.T) {
	for _, tt := range []struct {
		why   string
		files int
	}{
		{"with a lock", 2},
		{"without a lock", 1},
	} {
		dir := newDir(t)
		put(t, dir, "a", "first")
		if tt.files == 1 {
			if err := os.Remove(pathOf(t, dir, "a", ".lock")); err != nil {
				t.Fatal(err)
			}
		}
		if os.Geteuid() == 0 {
			give(t, dir.Path, pathOf(t, dir, "a", ".record"), pathOf(t, dir, "a", ".lock"))
		}
		if err := os.Chmod(dir.Path, 0o500); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(filepath.Dir(dir.Path), 0o755); err != nil {
			t.Fatal(err)
		}
		line := fmt.Sprintf("full: false read-only: true errno: true files: %d\n", tt.files)
		want := line + line + "first <nil>"
		if got := perform(t, "readonly", dir); got != want {
			t.Errorf("%s: got %q, want %q", tt.why, got, want)
		}
		if err := os.Chmod(dir.Path, 0o700); err != nil { // so that it can be removed
			t.Fatal(err)
		}
	}

	for _, number := range []syscall.Errno{syscall.EACCES, syscall.EPERM, syscall.EROFS} {
		err := file.Writing(&fs.PathError{Op: "mkdir", Path: "x", Err: number})
		wantDirErr(t, err, file.ErrReadOnly, "make it so", "folder", number.Error())
		wantDirErr(t, err, number)
	}
}

// give makes the existing ones of these files belong to stranger. Only root can do that.
func give(t *testing.T, files ...string) {
	t.Helper()
	for _, file := range files {
		err := os.Chown(file, stranger, stranger)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
}

func TestNoFolder(t *testing.T) {
	dir := newDir(t)
	if err := os.WriteFile(filepath.Dir(dir.Path), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	wantRefused(t, dir, syscall.ENOTDIR, dir.Path)
	under := &file.Dir{Path: filepath.Join(dir.Path, "a", "b")}
	wantRefused(t, under, syscall.ENOTDIR, under.Path)
}

// TestPermissionsFromCreation_K9 checks all files continuously, with a umask that removes no
// permission.
func TestPermissionsFromCreation_K9(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0))
	dir, stop := newDir(t), make(chan struct{})
	var observer sync.WaitGroup
	observer.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				wantPrivate(t, filepath.Dir(dir.Path))
				runtime.Gosched()
			}
		}
	})
	for i := range 50 {
		put(t, dir, "a", strings.Repeat("x", i*1000))
	}
	place(t, dir, "damaged")
	_, err := dir.Load(t.Context(), "a")
	wantDirErr(t, err, creds.ErrCorrupt)
	close(stop)
	observer.Wait()
	wantPrivate(t, filepath.Dir(dir.Path))
}

// wantPrivate checks a folder, if it exists, and all files in it.
func wantPrivate(t *testing.T, folder string) {
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		info, err := os.Lstat(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil && info.Mode().Perm() != ours(info.IsDir()) {
			t.Errorf("%s has %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func ours(folder bool) fs.FileMode {
	if folder {
		return 0o700
	}
	return 0o600
}

func TestLoosePermissions_K9(t *testing.T) {
	for _, tt := range []struct {
		ext  string // "" for the folder
		mode fs.FileMode
		do   string
	}{
		{".record", 0o640, "chmod 600"},
		{".record", 0o604, "chmod 600"},
		{".record", 0o620, "chmod 600"},
		{".record", 0o602, "chmod 600"},
		{".record", 0o610, "chmod 600"},
		{".record", 0o777, "chmod 600"},
		{"", 0o750, "chmod 700"},
		{"", 0o701, "chmod 700"},
		{"", 0o720, "chmod 700"},
		{"", 0o755, "StateDirectoryMode=0700"},
		{"", 0o777, "chmod 700"},
	} {
		dir := newDir(t)
		put(t, dir, "a", hidden)
		loose := dir.Path
		if tt.ext != "" {
			loose = pathOf(t, dir, "a", tt.ext)
		}
		if err := os.Chmod(loose, tt.mode); err != nil {
			t.Fatal(err)
		}
		wantRefused(t, dir, file.ErrMode, loose, tt.do, fmt.Sprintf("%04o", tt.mode))
		if err := os.Chmod(loose, ours(tt.ext == "")); err != nil {
			t.Fatal(err)
		}
		wantRecord(t, dir, hidden)
	}

	dir := newDir(t)
	put(t, dir, "a", hidden)
	lock := pathOf(t, dir, "a", ".lock")
	if err := os.Chmod(lock, 0o644); err != nil {
		t.Fatal(err)
	}
	wantNoUpdate(t, dir, file.ErrMode, lock, "chmod 600")
}

func TestForeignOwner_K10(t *testing.T) {
	if os.Geteuid() != 0 {
		// The root folder belongs to root, so every other user must refuse it.
		wantRefused(t, &file.Dir{Path: "/"}, file.ErrOwner, "chown", strconv.Itoa(os.Geteuid()))
		return
	}
	for _, ext := range []string{".record", ".lock", ""} {
		dir := newDir(t)
		put(t, dir, "a", hidden)
		foreign := dir.Path
		if ext != "" {
			foreign = pathOf(t, dir, "a", ext)
		}
		give(t, foreign)
		if ext == ".lock" {
			wantNoUpdate(t, dir, file.ErrOwner, "chown", foreign)
			continue
		}
		wantRefused(t, dir, file.ErrOwner, "chown", foreign)
	}
}

func TestFileTypes_K10(t *testing.T) {
	for _, tt := range []struct {
		why   string
		ext   string // of the file that is replaced, "" for the folder
		make  func(path, moved string) error
		wants string
	}{
		{"a link to a good record", ".record", link, "symbolic link"},
		{"a link to nowhere", ".record",
			func(path, _ string) error { return os.Symlink("nowhere", path) }, "symbolic link"},
		{"a link out of the folder", ".record",
			func(path, _ string) error { return os.Symlink("/etc/passwd", path) }, "symbolic link"},
		{"a pipe, on which reading would wait", ".record",
			func(path, _ string) error { return syscall.Mkfifo(path, 0o600) }, "special file"},
		{"a folder", ".record",
			func(path, _ string) error { return os.Mkdir(path, 0o700) }, "folder"},
		{"a link for a lock", ".lock", link, "symbolic link"},
		{"a pipe for a lock", ".lock",
			func(path, _ string) error { return syscall.Mkfifo(path, 0o600) }, "special file"},
		{"a link to a good folder", "", link, "symbolic link"},
		{"a link for a folder, to nowhere", "",
			func(path, _ string) error { return os.Symlink("nowhere", path) }, "symbolic link"},
		{"a file for a folder", "",
			func(path, _ string) error { return os.WriteFile(path, nil, 0o600) }, "is a file"},
	} {
		t.Run(tt.why, func(t *testing.T) {
			dir := newDir(t)
			put(t, dir, "a", "good")
			path := dir.Path
			if tt.ext != "" {
				path = pathOf(t, dir, "a", tt.ext)
			}
			moved := path + "-moved"
			if err := errors.Join(os.Rename(path, moved), tt.make(path, moved)); err != nil {
				t.Fatal(err)
			}
			if tt.ext == ".lock" {
				wantNoUpdate(t, dir, file.ErrType, path, tt.wants)
				return
			}
			wantRefused(t, dir, file.ErrType, path, tt.wants)
			wantRefused(t, &file.Dir{Path: dir.Path + "/"}, file.ErrType, path, tt.wants)
		})
	}
}

func link(path, moved string) error { return os.Symlink(moved, path) }

// A hard link, which some backups make, keeps the old record.
func TestHardLink_K10(t *testing.T) {
	dir := newDir(t)
	put(t, dir, "a", "one")
	backup := filepath.Join(t.TempDir(), "backup")
	if err := os.Link(pathOf(t, dir, "a", ".record"), backup); err != nil {
		t.Fatal(err)
	}
	put(t, dir, "a", "two")
	wantRecord(t, dir, "two")
	kept, err := os.ReadFile(backup)
	if record, bad := file.ParseRecord(kept); err != nil || bad != nil || string(record) != "one" {
		t.Errorf("the link has %q, %v, %v", record, err, bad)
	}
}

// Kubernetes mounts a Secret as a link to a link to a folder, and rotates it by renaming a new link
// over the second one.
func TestSecretRotatedByKubernetes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		folder := t.TempDir()
		mount := func(version, contents string) {
			t.Helper()
			name := "..2026_01_02_03_04_05." + version
			if err := os.Mkdir(filepath.Join(folder, name), 0o755); err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(folder, name, "token"), contents)
			next := filepath.Join(folder, "..data_tmp")
			err := errors.Join(os.Symlink(name, next),
				os.Rename(next, filepath.Join(folder, "..data")))
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		mount("1", "one\n")
		s := &file.Secret{Path: filepath.Join(folder, "token")}
		if err := os.Symlink("..data/token", s.Path); err != nil {
			t.Fatal(err)
		}
		wantSecret(t, s, "one")
		mount("2", "two\n")
		wantSecret(t, s, "two")
		if err := os.RemoveAll(filepath.Join(folder, "..2026_01_02_03_04_05.1")); err != nil {
			t.Fatal(err)
		}
		wantSecret(t, s, "two")

		// If a mount disappears for a moment, the links point to a missing file.
		if err := os.Remove(filepath.Join(folder, "..data")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if wantSecret(t, s, "two"); !errors.Is(s.Err(), fs.ErrNotExist) {
			t.Errorf("Err: %v", s.Err())
		}
		mount("3", "three\n")
		wantSecret(t, s, "three")
	})
}

// A pipe is refused before it is opened, because opening it would wait for a writer.
func TestSecretIsAPipe(t *testing.T) {
	s := &file.Secret{Path: filepath.Join(t.TempDir(), "pipe")}
	if err := syscall.Mkfifo(s.Path, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := wantNoSecret(t, s, "special file"); !errors.Is(err, file.ErrType) {
		t.Errorf("a pipe: %v", err)
	}
}
