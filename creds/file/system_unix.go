//go:build unix

package file

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

const noFollow = syscall.O_NOFOLLOW

// private returns an error if other users may access a file or folder, or own it. An access control
// list that admits others shows in the permissions of the group.
func private(path string, info fs.FileInfo) error {
	if stat, ok := info.Sys().(*syscall.Stat_t); !ok || int64(stat.Uid) != int64(os.Geteuid()) {
		return fmt.Errorf("%w: %s: chown it to user %d, or name another folder",
			ErrOwner, path, os.Geteuid())
	}
	if perm := info.Mode().Perm(); perm&0o077 != 0 {
		if info.IsDir() {
			return fmt.Errorf("%w: the folder %s has %04o: chmod 700 it; "+
				"if it is a StateDirectory of systemd, set StateDirectoryMode=0700",
				ErrMode, path, perm)
		}
		return fmt.Errorf("%w: %s has %04o: chmod 600 it", ErrMode, path, perm)
	}
	return nil
}

// noRoom reports whether err means that a file cannot grow.
func noRoom(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) ||
		errors.Is(err, syscall.EFBIG)
}

// noWrite reports whether err means that a file must not be written.
func noWrite(err error) bool {
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS)
}

// syncFolder writes the folder to the disk, if the file system supports that.
func syncFolder(root *os.Root) error {
	folder, err := root.Open(".")
	if err != nil {
		return err
	}
	defer func() { _ = folder.Close() }()
	err = folder.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	return err
}
