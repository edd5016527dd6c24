package main

import (
	"errors"
	"syscall"
)

// tooManyFiles reports whether err means that no more files can be opened for now.
func tooManyFiles(err error) bool { return errors.Is(err, syscall.EMFILE) }
