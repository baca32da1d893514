package tun

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

// deadline is generous: machines that run tests are slow and shared.
const deadline = 30 * time.Second

// A space is a network namespace that lives as long as the test. Its thread belongs to it.
type space struct {
	work chan func()
	path string
}

func newSpace(t *testing.T) *space {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("this test makes network namespaces: it needs root")
	}
	s := &space{work: make(chan func())}
	failed := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine, and the namespace with it
		err := unix.Unshare(unix.CLONE_NEWNET)
		s.path = fmt.Sprintf("/proc/%d/task/%d/ns/net", os.Getpid(), unix.Gettid())
		failed <- err
		for f := range s.work {
			f()
		}
	}()
	if err := <-failed; err != nil {
		t.Fatalf("no network namespace: %v", err)
	}
	t.Cleanup(func() { close(s.work) })
	s.ip(t, "link set lo up")
	if _, err := os.Stat(devicePath); err != nil {
		t.Fatalf("this test makes TUN interfaces: %v", err)
	}
	return s
}

// do runs f in the namespace. Sockets stay where they were made.
func (s *space) do(f func()) {
	done := make(chan struct{})
	s.work <- func() { defer close(done); f() }
	<-done
}

// settle waits until IPv6 addresses can be used: the host makes their routes some time after the addresses, and drops
// silently what is sent meanwhile.
func (s *space) settle(t *testing.T, addresses ...string) {
	t.Helper()
	for late := time.Now().Add(deadline); ; time.Sleep(time.Millisecond) {
		var tentative, routes []byte
		s.do(func() {
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

// ip runs the commands, which are arguments of ip(8).
func (s *space) ip(t *testing.T, commands ...string) {
	t.Helper()
	for _, c := range commands {
		s.do(func() {
			if out, err := exec.Command("ip", strings.Fields(c)...).CombinedOutput(); err != nil {
				t.Errorf("ip %s: %v: %s", c, err, out)
			}
		})
	}
	if t.Failed() {
		t.FailNow()
	}
}

// device opens a TUN interface in the namespace: 10.99.0.1 and fd99::1, and all traffic for .2 and ::2 comes out of it.
func (s *space) device(t *testing.T, name string, mtu int, o Options) (d *Device) {
	t.Helper()
	var err error
	if s.do(func() { d, err = Open(name, mtu, o) }); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

// up gives it addresses, host .1 or .2, and brings it up without the host's own chatter.
func (s *space) up(t *testing.T, d *Device, host string) {
	t.Helper()
	n := d.Name()
	s.ip(t, "link set "+n+" addrgenmode none", "addr add 10.99.0."+host+"/24 dev "+n,
		"addr add fd99::"+host+"/64 dev "+n+" nodad", "link set "+n+" up")
	s.settle(t, "fd99::"+host)
}
