// Package testhost boots small machines for the tests of programs: network, mount and process namespaces.
package testhost

import (
	"bytes"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// Boot makes a machine with a loopback interface and an empty /run and /var/run/wireguard, and gives the number of its
// first process. Whatever runs on it ends with the test. It needs root, sh, mount and ip.
func Boot(t *testing.T) (pid int) {
	t.Helper()
	cmd := exec.Command("sh", "-ec", "mount --make-rprivate /; mount -t proc proc /proc; mount -t tmpfs tmpfs /run; "+
		"[ /var/run -ef /run ] || mount -t tmpfs tmpfs /var/run; mkdir -p /var/run/wireguard; "+
		"ip link set lo up; echo booted; exec cat")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID, Pdeathsig: syscall.SIGKILL,
	}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("cannot make namespaces: %v", err)
	}
	t.Cleanup(func() {
		_ = stdin.Close() // its first process ends, and with it all others
		_ = cmd.Wait()
	})
	var said [16]byte
	if n, err := stdout.Read(said[:]); err != nil || !strings.HasPrefix(string(said[:n]), "booted") {
		_ = stdin.Close()
		_ = cmd.Wait()
		t.Fatalf("the machine does not boot: %v %s", err, stderr.String())
	}
	return cmd.Process.Pid
}

// Command makes a command that runs on a machine.
func Command(pid int, args ...string) *exec.Cmd {
	return exec.Command("nsenter", append([]string{"-t", strconv.Itoa(pid), "-n", "-m", "-p", "--"}, args...)...)
}
