//go:build !unix

package portal

import "os/exec"

// killGroup does nothing: the programs that cmd has started keep running.
func killGroup(*exec.Cmd) {}
