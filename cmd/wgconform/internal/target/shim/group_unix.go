//go:build unix

package shim

import (
	"os/exec"
	"syscall"
)

// group gives a program a process group of its own: what it starts ends with it, and an interrupt of the terminal is
// for the runner, which ends it in order.
func group(c *exec.Cmd) { c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// kill ends it. That it may be gone already is no error.
func kill(c *exec.Cmd) { _ = syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
