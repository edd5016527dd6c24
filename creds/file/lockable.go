//go:build windows || (unix && !aix && (!solaris || illumos))

package file

// fileLocks reports whether a lock belongs to an open file. Then two open files of one process
// exclude each other, as two files of two processes do.
const fileLocks = true
