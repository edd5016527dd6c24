//go:build !unix && !windows

package file

import (
	"errors"
	"io/fs"
	"os"
)

// These systems have no locks; see fileLocks.

const noFollow = 0

func private(string, fs.FileInfo) error { return nil }

func noRoom(error) bool { return false }

func noWrite(err error) bool { return errors.Is(err, fs.ErrPermission) }

func syncFolder(*os.Root) error { return nil }
