//go:build !plan9

package lost

import (
	"io"
	"syscall"
)

var closings = [...]error{io.EOF, syscall.ECONNRESET, syscall.ECONNABORTED, syscall.EPIPE,
	syscall.Errno(10053), syscall.Errno(10054)} // the last two: aborted and reset in Windows
