//go:build unix

package portal

import (
	"os/exec"
	"syscall"
)

// killGroup has the end of the context of cmd kill the programs that it has started too. A client
// can end a context at any time, so those programs would add up.
func killGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error {
		if syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) == nil {
			return nil
		}
		return cmd.Process.Kill()
	}
}
