// Package file keeps credentials in files: a [Dir] is a [creds.Store] that several processes can
// share.
package file

import "github.com/countersign-go/countersign/creds"

var _ creds.Lister = Dir("")
