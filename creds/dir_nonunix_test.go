//go:build !unix

package creds_test

import "github.com/countersign-go/countersign/creds"

func playOnUnix(role string, _ creds.Dir) { panic("no such role: " + role) }
