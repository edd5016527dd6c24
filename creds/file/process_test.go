package file_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/creds/file"
)

// Some of these tests need other processes. They start this program again, with a role.
var (
	role   = flag.String("role", "", "be another process of a test")
	folder = flag.String("folder", "", "the Dir of that process")
	kills  = flag.Int("kills", 20, "how many writers TestKilledWriters_K11 kills")
)

func TestMain(m *testing.M) {
	flag.Parse()
	if *role != "" {
		play(*role, &file.Dir{Path: *folder})
		return
	}
	m.Run()
}

func play(role string, dir *file.Dir) {
	switch role {
	case "count":
		for range increments {
			increment(dir)
		}
	case "once":
		increment(dir)
		fmt.Println("stored")
	case "write":
		for {
			increment(dir)
			fmt.Println("stored")
			<-time.After(rand.N(5 * time.Millisecond)) // lets other processes have a turn
		}
	case "hold":
		_ = dir.Update(context.Background(), "counter", func([]byte) ([]byte, error) {
			fmt.Println("held")
			_, _ = io.Copy(io.Discard, os.Stdin)
			return []byte("never"), nil
		})
	default:
		playOnUnix(role, dir)
	}
}

// start starts another process.
func start(t *testing.T, role string, dir *file.Dir) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "-role="+role, "-folder="+dir.Path)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cmd.StdinPipe(); err != nil { // stays open
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, bufio.NewScanner(stdout)
}

// increments is the number of increments by each process or goroutine that counts.
const increments = 25

// counted returns the record of a counter. Its contents and its length depend on n.
func counted(n int) []byte {
	return append(strconv.AppendInt(nil, int64(n), 10),
		bytes.Repeat([]byte(" "+strconv.Itoa(n)), n*37%1500)...)
}

// count is the inverse of counted. It panics if the record is not a counter.
func count(record []byte) int {
	if record == nil {
		return 0
	}
	first, _, _ := strings.Cut(string(record), " ")
	n, err := strconv.Atoi(first)
	if err != nil || !bytes.Equal(record, counted(n)) {
		panic("a record is not as it was written")
	}
	return n
}

func increment(dir *file.Dir) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	err := dir.Update(ctx, "counter", func(old []byte) ([]byte, error) {
		return counted(count(old) + 1), nil
	})
	if err != nil {
		panic(err)
	}
}

func wantCount(t *testing.T, dir *file.Dir, least, most int) int {
	t.Helper()
	record, err := dir.Load(t.Context(), "counter")
	if err != nil && !errors.Is(err, creds.ErrNotFound) {
		t.Fatal(err)
	}
	n := count(record)
	if n < least || n > most {
		t.Fatalf("the counter is at %d, not in the range of %d to %d", n, least, most)
	}
	return n
}

// wantClean checks that only the record and its lock remain.
func wantClean(t *testing.T, dir *file.Dir) {
	t.Helper()
	want := []string{".lock", ".record"}
	if got := files(t, dir, "counter"); !slices.Equal(got, want) {
		t.Fatalf("files %q, want %q", got, want)
	}
}

func TestGoroutinesCount_K13(t *testing.T) {
	dir := newDir(t)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range increments {
				increment(dir)
				record, err := dir.Load(t.Context(), "counter")
				if err != nil || count(record) == 0 {
					t.Errorf("Load during Updates: %v", err)
				}
			}
		})
	}
	all.Wait()
	wantCount(t, dir, 8*increments, 8*increments)
	wantClean(t, dir)
}

func TestProcessesCount_K13(t *testing.T) {
	dir := newDir(t)
	var processes []*exec.Cmd
	for range 4 {
		cmd, _ := start(t, "count", dir)
		processes = append(processes, cmd)
	}
	for _, cmd := range processes {
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	}
	wantCount(t, dir, 4*increments, 4*increments)
	wantClean(t, dir)
}

// TestLockOfAKilledProcess_K13 checks that a lock ends with its holder.
func TestLockOfAKilledProcess_K13(t *testing.T) {
	dir := newDir(t)
	cmd, lines := start(t, "hold", dir)
	if !lines.Scan() {
		t.Fatal("the process ended")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := dir.Update(ctx, "counter", nil); !errors.Is(err, context.Canceled) {
		t.Errorf("Update of a record that is in use: %v", err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	increment(dir)
	wantCount(t, dir, 1, 1)
}

// TestKilledWriters_K11 kills four writers at random times, repeatedly. Each counter that a writer
// reported as stored must have been stored, no other increment may be missing, and the first Update
// of the next process must remove all the files that the writers left.
func TestKilledWriters_K11(t *testing.T) {
	dir := newDir(t)
	stored, killed, left := 0, 0, 0
	for killed < *kills {
		var mu sync.Mutex // guards stored and killed
		var writers sync.WaitGroup
		for range 4 {
			cmd, lines := start(t, "write", dir)
			writers.Go(func() {
				before := rand.IntN(4)
				for n := 0; n < before && lines.Scan(); n++ {
					mu.Lock()
					stored++
					mu.Unlock()
				}
				<-time.After(rand.N(5 * time.Millisecond))
				err := cmd.Process.Kill()
				for lines.Scan() { // lines that the writer printed before
					mu.Lock()
					stored++
					mu.Unlock()
				}
				_ = cmd.Wait()
				mu.Lock()
				defer mu.Unlock()
				if killed++; err != nil {
					t.Errorf("a writer had ended: %v", err)
				}
			})
		}
		writers.Wait()
		if t.Failed() {
			return
		}
		wantCount(t, dir, stored, stored+killed)
		for _, name := range files(t, dir, "counter") {
			if strings.HasPrefix(name, ".tmp-") {
				left++
			}
		}
		next, lines := start(t, "once", dir)
		if !lines.Scan() || next.Wait() != nil {
			t.Fatal("the next process failed")
		}
		stored++
		wantClean(t, dir)
	}
	n := wantCount(t, dir, stored, stored+killed)
	t.Logf("%d writers killed, %d records stored, %d temporary files left and removed",
		killed, n, left)
}
