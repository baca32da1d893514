package kernel

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The kernel that runs the tests seldom has WireGuard, and is nobody's to be changed. So they run in a guest: Linux as
// a process (User-Mode Linux), which is compiled once by kwg.sh build and lies in KWG_CACHE (~/.cache/kwg). The
// guest's root is the root of this machine, read-only, and it has one processor.

// envGuest is set in the guest: there the tests of this package that need the kernel do their work.
const envGuest = "KERNEL_TEST_GUEST"

// guestKernel finds the kernel for the guest. Without it a test is skipped, and standard error says so.
func guestKernel(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("KWG_CACHE")
	if dir == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			t.Fatal(err)
		}
		dir = filepath.Join(cache, "kwg")
	}
	found, err := filepath.Glob(filepath.Join(dir, "*.uml"))
	if err != nil {
		t.Fatal(err)
	}
	if len(found) == 0 {
		fmt.Fprintf(os.Stderr, "SKIPPED: %s: there is no kernel in %s (kwg.sh build, KWG_CACHE)\n", t.Name(), dir)
		t.Skipf("there is no User-Mode Linux in %s to test the kernel's WireGuard with", dir)
	}
	return found[0]
}

// guestLimit is how long a guest may take. It has one processor, and a system call is slow.
const guestLimit = 3 * time.Minute

// inGuest runs a shell script as root in a guest and gives what it said. What it writes to /run/box is in box.
func inGuest(t *testing.T, box, script string) (said string, err error) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("this test needs root: it makes network namespaces in a guest whose files are this machine's")
	}
	init := filepath.Join(box, "init")
	text := "#!/bin/sh\nexport PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/run\n" +
		"mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev; mount -t tmpfs run /run\n" +
		"mkdir /run/box; mount -t hostfs -o " + box + " box /run/box; ip link set lo up; cd /run\n" +
		"{ " + script + "; } >/run/box/said 2>&1; echo $? >/run/box/status.new\n" +
		"mv /run/box/status.new /run/box/status; sleep 60\n"
	if err := os.WriteFile(init, []byte(text), 0o700); err != nil {
		return "", err
	}
	var console bytes.Buffer
	c := exec.Command(guestKernel(t), "mem=256M", "umid=t"+fmt.Sprint(os.Getpid()), "uml_dir="+box+"/uml/",
		"root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro", "init="+init,
		"con=null", "con0=null,fd:1", "ssl=null", "panic=1", "loglevel=4")
	c.Stdout, c.Stderr = &console, &console
	// Each process of the guest is one of this machine, and all are in one group.
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := c.Start(); err != nil {
		return "", err
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = c.Wait() // how it ends is told by the status below
	}()
	await(filepath.Join(box, "status"), ended)
	if err := unix.Kill(-c.Process.Pid, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
		t.Error(err)
	}
	<-ended
	out, err := os.ReadFile(filepath.Join(box, "said"))
	if err != nil {
		return console.String(), errors.Join(errors.New("the guest did not start"), err)
	}
	status, err := os.ReadFile(filepath.Join(box, "status"))
	if err != nil {
		return string(out) + console.String(), fmt.Errorf("the guest ended, or was ended after %v: %w", guestLimit, err)
	}
	if s := strings.TrimSpace(string(status)); s != "0" {
		return string(out), fmt.Errorf("exit status %s", s)
	}
	return string(out), nil
}

// await waits for a file, but no longer than for the end of the guest or its limit.
func await(path string, ended <-chan struct{}) {
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for late := time.After(guestLimit); ; {
		select {
		case <-look.C:
			if _, err := os.Stat(path); err == nil {
				return
			}
		case <-ended:
			return
		case <-late:
			return
		}
	}
}

// guest makes the test run in a guest, and there only. It reports whether this is one.
func guest(t *testing.T) bool {
	t.Helper()
	if os.Getenv(envGuest) != "" {
		return true
	}
	box := t.TempDir()
	said, err := inGuest(t, box, envGuest+"=1 "+program(t, box)+" -test.v -test.count=1 -test.run '^"+t.Name()+"$'")
	if err != nil || !strings.Contains(said, "--- PASS: "+t.Name()) {
		t.Errorf("in the guest: %v\n%s", err, said)
	}
	return false
}

// program is this test's program or, since the race detector finds no room in the address space of User-Mode Linux, the
// same without it.
func program(t *testing.T, folder string) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	build, ok := debug.ReadBuildInfo()
	if !ok || !slices.Contains(build.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		return self
	}
	guestKernel(t) // before it is built for nothing
	plain := filepath.Join(folder, "plain.test")
	if out, err := exec.Command("go", "test", "-c", "-o", plain, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return plain
}
