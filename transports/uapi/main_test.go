//go:build linux

package uapi

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

// insideVar marks a process that has a /run of its own.
const insideVar = "UAPI_TEST_INSIDE"

// TestMain runs the tests again in a mount namespace with an empty /run: wg(8) looks in /var/run/wireguard and nowhere
// else, and that directory is the host's (design §11.13).
func TestMain(m *testing.M) {
	switch {
	case os.Getenv(childVar) != "":
		os.Exit(serveInherited())
	case os.Getenv(insideVar) != "" || slices.ContainsFunc(os.Args, fuzzing):
		code := 0
		if os.Getenv(insideVar) != "" {
			must(unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
			must(unix.Mount("tmpfs", "/run", "tmpfs", 0, "mode=755"))
		}
		if code = m.Run(); code == 0 {
			if err := goleak.Find(); err != nil {
				fmt.Fprintln(os.Stderr, err)
				code = 1
			}
		}
		os.Exit(code)
	}
	cmd := exec.Command(os.Args[0], os.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), insideVar+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		fmt.Fprintf(os.Stderr, "FAIL: these tests need root, for a mount namespace: %v\n", err)
		os.Exit(1)
	}
	if err := cmd.Wait(); err != nil {
		os.Exit(max(1, cmd.ProcessState.ExitCode()))
	}
}

// fuzzing is for a run that fuzzes: its workers are processes of their own, and need no socket.
func fuzzing(arg string) bool {
	return strings.HasPrefix(arg, "-test.fuzz=") || strings.HasPrefix(arg, "-test.fuzzworker")
}

func must(err error) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "FAIL: these tests need root, to mount: %v\n", err)
		os.Exit(1)
	}
}
