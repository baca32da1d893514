//go:build !unix

package shim

import "os/exec"

func group(*exec.Cmd) {}

// kill ends it. That it may be gone already is no error.
func kill(c *exec.Cmd) { _ = c.Process.Kill() }
