//go:build !unix

package file_test

import "github.com/countersign-go/countersign/creds/file"

func playOnUnix(role string, _ *file.Dir) { panic("no such role: " + role) }
