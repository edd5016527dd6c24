package file

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// noFollow is zero here: a link is found by comparing the opened file with the named one.
const noFollow = 0

// private returns nil: the folder inherits its permissions from its parent.
func private(string, fs.FileInfo) error { return nil }

// noRoom reports whether err means that a file cannot grow.
func noRoom(err error) bool {
	const (
		errorHandleDiskFull = syscall.Errno(39)
		errorDiskFull       = syscall.Errno(112)
		errorDiskQuota      = syscall.Errno(1295)
	)
	return errors.Is(err, errorHandleDiskFull) || errors.Is(err, errorDiskFull) ||
		errors.Is(err, errorDiskQuota)
}

// noWrite reports whether err means that a file must not be written.
func noWrite(err error) bool {
	const errorWriteProtect = syscall.Errno(19)
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, errorWriteProtect)
}

// syncFolder does nothing: NTFS keeps a journal of names, and has no way to write a folder.
func syncFolder(*os.Root) error { return nil }
