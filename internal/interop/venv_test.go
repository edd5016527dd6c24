package interop

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

const (
	requirements = "testdata/requirements.txt"

	// setuptools builds the peers that are published as source only, and Pyramid imports it. It is
	// pinned like the peers, so that a new release of it cannot break an old commit.
	setuptools = "setuptools==79.0.1"
)

var makeVenv = sync.OnceValues(venv)

// python returns the interpreter of the virtual environment, which the first call makes.
func python(t *testing.T) string {
	t.Helper()
	path, err := makeVenv()
	if err != nil {
		t.Fatalf("the Python peers are needed and cannot be had: %v", err)
	}
	return path
}

// venv keeps the environment in the user's cache, under a name derived from all its inputs.
func venv() (string, error) {
	base, err := exec.LookPath("python3")
	if err != nil {
		return "", fmt.Errorf("install Python 3.11 or newer: %w", err)
	}
	const check = "import sys; v = sys.version; assert sys.version_info >= (3, 11), v; " +
		"print(v, sys.prefix)"
	version, err := run(base, "-c", check)
	if err != nil {
		return "", fmt.Errorf("install Python 3.11 or newer: %w", err)
	}
	packages, err := os.ReadFile(requirements)
	if err != nil {
		return "", err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	name := sha256.Sum256(fmt.Appendf(nil, "%s%s\n%s", version, setuptools, packages))
	dir := filepath.Join(cache, "countersign-interop", fmt.Sprintf("%x", name[:8]))
	path := filepath.Join(dir, "bin", "python")
	if works(path) == nil {
		return path, nil
	}
	if err := install(base, dir); err != nil {
		return "", err
	}
	return path, works(path)
}

// install makes the environment beside dir and moves it there when it is complete. So an
// interrupted run, or one at the same time, does not leave an incomplete one.
func install(base, dir string) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	fresh, err := os.MkdirTemp(filepath.Dir(dir), "new-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(fresh)
	if _, err := run(base, "-m", "venv", fresh); err != nil {
		return fmt.Errorf("the venv module of %s (package python3-venv on Debian): %w", base, err)
	}
	path := filepath.Join(fresh, "bin", "python")
	if err := pip(path, setuptools); err != nil {
		return err
	}
	if err := pip(path, "--no-build-isolation", "--use-pep517", "-r", requirements); err != nil {
		return err
	}
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.Rename(fresh, dir); err != nil && works(filepath.Join(dir, "bin/python")) != nil {
		return err
	}
	return nil
}

// pip installs from the network, with three tries.
func pip(python string, args ...string) error {
	args = append([]string{"-m", "pip", "install", "--quiet", "--disable-pip-version-check",
		"--no-input", "--no-deps"}, args...)
	var errs []error
	for try := range 3 {
		time.Sleep(time.Duration(try) * 2 * time.Second)
		_, err := run(python, args...)
		if err == nil {
			return nil
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func works(python string) error {
	const packages = "pyramid_macauth, pyramid_jwt, cryptography, requests, waitress, flask, " +
		"ucam_webauth.rsa"
	_, err := run(python, "-W", "ignore", "-c", "import "+packages)
	return err
}

func run(name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s %q: %w\n%s", name, args, err, out)
	}
	return string(out), nil
}
