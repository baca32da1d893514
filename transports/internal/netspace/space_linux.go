// Package netspace gives tests a network namespace of their own.
package netspace

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Deadline is generous: machines that run tests are slow and shared.
const Deadline = 30 * time.Second

// A Space is a network namespace that lives as long as the test. Its thread belongs to it.
type Space struct {
	work chan func()
	// Path is a file that stands for the namespace, as setns(2) wants one.
	Path string
}

// New makes a namespace whose loopback interface is up, or ends the test saying what is missing.
func New(t *testing.T) *Space {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("this test makes network namespaces: it needs root")
	}
	s := &Space{work: make(chan func())}
	failed := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine, and the namespace with it
		err := unix.Unshare(unix.CLONE_NEWNET)
		s.Path = fmt.Sprintf("/proc/%d/task/%d/ns/net", os.Getpid(), unix.Gettid())
		failed <- err
		for f := range s.work {
			f()
		}
	}()
	if err := <-failed; err != nil {
		t.Fatalf("no network namespace: %v", err)
	}
	t.Cleanup(func() { close(s.work) })
	s.IP(t, "link set lo up")
	return s
}

// Do runs f in the namespace. Sockets stay where they were made.
func (s *Space) Do(f func()) {
	done := make(chan struct{})
	s.work <- func() { defer close(done); f() }
	<-done
}

// Settle waits until IPv6 addresses can be used: the host makes their routes some time after the addresses, and drops
// silently what is sent meanwhile.
func (s *Space) Settle(t *testing.T, addresses ...string) {
	t.Helper()
	for late := time.Now().Add(Deadline); ; time.Sleep(time.Millisecond) {
		var tentative, routes []byte
		s.Do(func() {
			tentative, _ = exec.Command("ip", "-6", "addr", "show", "tentative").CombinedOutput()
			routes, _ = exec.Command("ip", "-6", "route", "show", "table", "local").CombinedOutput()
		})
		ready := len(tentative) == 0
		for _, a := range addresses {
			ready = ready && strings.Contains(string(routes), "local "+a+" ")
		}
		if ready {
			return
		}
		if time.Now().After(late) {
			t.Fatalf("%v cannot be used: tentative %q, routes %q", addresses, tentative, routes)
		}
	}
}

// IP runs the commands, which are arguments of ip(8).
func (s *Space) IP(t *testing.T, commands ...string) {
	t.Helper()
	for _, c := range commands {
		s.Do(func() {
			if out, err := exec.Command("ip", strings.Fields(c)...).CombinedOutput(); err != nil {
				t.Errorf("ip %s: %v: %s", c, err, out)
			}
		})
	}
	if t.Failed() {
		t.FailNow()
	}
}
