package creds

import "errors"

// ErrWrong means that a user name or a password is wrong, as opposed to a check that could not
// decide. It does not tell whether the user exists.
var ErrWrong = errors.New("creds: wrong user or password")
