package file

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// A place is an open folder, and the common part of the names of one record's files.
type place struct {
	root *os.Root
	base string
}

func (p place) close() { _ = p.root.Close() }

func (p place) path(ext string) string { return filepath.Join(p.root.Name(), p.base+ext) }

// list returns the names of all files in the folder.
func (p place) list() []string {
	folder, err := p.root.Open(".")
	if err != nil {
		return nil
	}
	defer func() { _ = folder.Close() }()
	names, _ := folder.Readdirnames(-1)
	return names
}

// stat finds a file and checks that it may be a file of the Dir.
func (p place) stat(ext string) (fs.FileInfo, error) {
	info, err := p.root.Lstat(p.base + ext)
	if err != nil {
		return nil, fmt.Errorf("file: cannot read %s: %w", p.path(ext), err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: %s is a %s: remove it, or name another folder",
			ErrType, p.path(ext), kind(info))
	}
	return info, private(p.path(ext), info)
}

// folder returns the path of the folder. Without Clean, a trailing slash would make the system
// follow a link.
func (d *Dir) folder() string { return filepath.Clean(d.Path) }

// make creates the folder and its parents unless it exists.
func (d *Dir) make() error {
	path := d.folder()
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return nil // open returns the error if it is not fit for use
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return writing(path, err)
	}
	return nil
}

// open opens the folder for one record.
func (d *Dir) open(base string) (place, error) {
	path := d.folder()
	info, err := os.Lstat(path)
	if err != nil {
		return place{}, fmt.Errorf("file: cannot open the folder: %w", err)
	}
	if !info.IsDir() {
		return place{}, fmt.Errorf("%w: %s is a %s: name a folder, and no link to one",
			ErrType, path, kind(info))
	}
	if err := private(path, info); err != nil {
		return place{}, err
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return place{}, fmt.Errorf("file: cannot open the folder: %w", err)
	}
	if opened, err := root.Stat("."); err != nil || !os.SameFile(info, opened) {
		_ = root.Close()
		return place{}, fmt.Errorf("file: %s was replaced while it was opened: try again", path)
	}
	return place{root, base}, nil
}

func kind(info fs.FileInfo) string {
	switch mode := info.Mode(); {
	case mode.IsRegular():
		return "file"
	case mode.IsDir():
		return "folder"
	case mode&fs.ModeSymlink != 0:
		return "symbolic link"
	default:
		return "special file"
	}
}
