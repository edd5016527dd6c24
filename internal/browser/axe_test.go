package browser

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// axe-core is the accessibility checker that browsers and auditors use. Its rules change with
// releases, so an update is a separate commit.
const (
	axeVersion = "4.14.1"
	axeHash    = "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c" // of axe.min.js
)

var getAxe = sync.OnceValues(cachedAxe)

// axeSource returns the script, which the first call on a machine downloads from npm.
func axeSource(t *testing.T) string {
	t.Helper()
	source, err := getAxe()
	if err != nil {
		t.Fatalf("axe-core is needed and cannot be had: %v", err)
	}
	return source
}

// cachedAxe keeps the script in the user's cache.
func cachedAxe() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "countersign-browser")
	path := filepath.Join(dir, "axe-core-"+axeVersion+".js")
	if source, err := os.ReadFile(path); err == nil && isAxe(source) {
		return string(source), nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	fresh, err := os.MkdirTemp(dir, "new-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(fresh)
	source, err := downloadAxe(fresh)
	if err != nil {
		return "", err
	}
	if !isAxe(source) {
		return "", fmt.Errorf("axe-core %s is not what it was", axeVersion)
	}
	// Move it there only when it is complete, so that an interrupted run does not leave half of it.
	whole := filepath.Join(fresh, "axe.js")
	if err := os.WriteFile(whole, source, 0o644); err != nil {
		return "", err
	}
	return string(source), os.Rename(whole, path)
}

func isAxe(source []byte) bool {
	return fmt.Sprintf("%x", sha256.Sum256(source)) == axeHash
}

// downloadAxe downloads the package into dir, with three tries.
func downloadAxe(dir string) ([]byte, error) {
	npm, err := exec.LookPath("npm")
	if err != nil {
		return nil, fmt.Errorf("install npm: %w", err)
	}
	var errs []error
	for try := range 3 {
		time.Sleep(time.Duration(try) * 2 * time.Second)
		err := pack(npm, dir)
		if err == nil {
			break
		}
		errs = append(errs, err)
		if try == 2 {
			return nil, errors.Join(errs...)
		}
	}
	archive, err := os.ReadFile(filepath.Join(dir, "axe-core-"+axeVersion+".tgz"))
	if err != nil {
		return nil, err
	}
	return unpack(archive, "package/axe.min.js")
}

func pack(npm, dir string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, npm, "pack", "--silent", "--ignore-scripts",
		"axe-core@"+axeVersion)
	cmd.Dir = dir
	cmd.WaitDelay = time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("npm pack: %w\n%s", err, out)
	}
	return nil
}

// unpack returns the file of that name in a .tgz.
func unpack(archive []byte, name string) ([]byte, error) {
	unzipped, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		return nil, err
	}
	files := tar.NewReader(unzipped)
	for {
		header, err := files.Next()
		if err != nil {
			return nil, fmt.Errorf("looking for %s: %w", name, err)
		}
		if header.Name == name {
			return io.ReadAll(files)
		}
	}
}
