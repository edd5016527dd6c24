//go:build unix

package portal

import (
	"os/exec"
	"syscall"
)

// killGroup makes the end of cmd's context kill the programs that cmd has started, too. A client
// can end a context at any time, so those programs would pile up.
func killGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error {
		if syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) == nil {
			return nil
		}
		return cmd.Process.Kill()
	}
}
