//go:build !windows && (!unix || aix || (solaris && !illumos))

package file

// fileLocks is false if the system has no locks, or if a lock belongs to the process. Such a lock
// ends as soon as the process closes any of its descriptors of the file, so a second Dir of the
// same Path would end the lock of the first. Update returns an error that wraps
// [errors.ErrUnsupported].
const fileLocks = false
