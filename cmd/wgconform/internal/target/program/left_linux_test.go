package program

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/purewire/purewire/cmd/wgconform/internal/target/realtime"
)

// runner is a runner with two instances, which ends as it is told, or waits to be ended.
func runner(how string) error {
	words, err := split(os.Getenv("PROGRAM_TEST_COMMAND"), os.Getenv)
	if err != nil {
		return err
	}
	f := &Factory{words: words, heart: realtime.NewHeart()}
	setup, err := realtime.Idle()
	if err != nil {
		return err
	}
	for range 2 {
		s, err := f.New(setup)
		if err != nil {
			return err
		}
		m := s.(*Subject).driver.machine
		network, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", m.process.Process.Pid))
		if err != nil {
			return err
		}
		mounts, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/mnt", m.process.Process.Pid))
		if err != nil {
			return err
		}
		fmt.Println("namespaces", network, mounts)
	}
	fmt.Println("up")
	if _, err := os.Stdin.Read(make([]byte, 1)); err != nil {
		return err
	}
	switch how {
	case "panic":
		go func() { panic("as an error of the suite would") }()
	case "exit":
		return errors.New("without closing anything")
	}
	time.Sleep(time.Hour)
	return nil
}

// However the runner ends, nothing of its instances is left: no process in their namespaces, no mount, no interface.
func TestNothingLeft(t *testing.T) {
	need(t)
	for _, how := range []string{"SIGKILL", "SIGINT", "SIGTERM", "panic", "exit"} {
		t.Run(how, func(t *testing.T) {
			before := traces(t)
			c := exec.Command("/proc/self/exe")
			c.Env = append(os.Environ(), envRunner+"="+how, "PROGRAM_TEST_COMMAND="+fakeCommand(t, "daemon"))
			in, err := c.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			out, err := c.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			var namespaces []string
			up := false
			for s := bufio.NewScanner(out); !up && s.Scan(); {
				f := strings.Fields(s.Text())
				up = f[0] == "up"
				namespaces = append(namespaces, f[1:]...)
			}
			if !up || len(namespaces) != 4 {
				t.Fatalf("the runner did not start: %v", c.Wait())
			}
			if users := inNamespaces(t, namespaces); len(users) < 4 { // of each, the first process and the program
				t.Fatalf("only %v run in the namespaces: the test sees nothing", users)
			}
			if _, err := in.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
			if signal := unix.SignalNum(how); signal != 0 {
				if err := c.Process.Signal(signal); err != nil {
					t.Fatal(err)
				}
			}
			_ = c.Wait()
			eventually(t, "no process is in the namespaces", func() bool { return len(inNamespaces(t, namespaces)) == 0 })
			if after := traces(t); !slices.Equal(before, after) {
				t.Errorf("interfaces and mounts before:\n%v\nafter:\n%v", before, after)
			}
		})
	}
}

// Close leaves nothing behind either, and no file descriptor or thread of the runner.
func TestClose(t *testing.T) {
	f := factory(t, fakeCommand(t, "daemon"))
	setup, err := realtime.Idle()
	if err != nil {
		t.Fatal(err)
	}
	count := func() int {
		fds, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(fds)
	}
	before, open := traces(t), count()
	for range 3 {
		s, err := f.New(setup)
		if err != nil {
			t.Fatal(err)
		}
		m := s.(*Subject).driver.machine
		network, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", m.process.Process.Pid))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		// A thread of ours that was inside and is thrown away may take a moment longer.
		eventually(t, "nobody is in the namespace", func() bool { return len(inNamespaces(t, []string{network})) == 0 })
	}
	// The poller of the Go runtime opens its own on first use.
	if after := count(); after > open+2 {
		t.Errorf("%d file descriptors before, %d after", open, after)
	}
	if after := traces(t); !slices.Equal(before, after) {
		t.Errorf("interfaces and mounts before:\n%v\nafter:\n%v", before, after)
	}
}

// inNamespaces lists the processes and threads that are in one of the namespaces.
func inNamespaces(t *testing.T, namespaces []string) (users []string) {
	t.Helper()
	paths, err := filepath.Glob("/proc/[0-9]*/task/[0-9]*/ns/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range paths {
		if kind := filepath.Base(p); kind != "net" && kind != "mnt" {
			continue
		}
		if ns, err := os.Readlink(p); err == nil && slices.Contains(namespaces, ns) {
			pid, err := strconv.Atoi(strings.Split(p, "/")[2])
			if err == nil && !slices.Contains(users, strconv.Itoa(pid)) {
				users = append(users, strconv.Itoa(pid))
			}
		}
	}
	return users
}

// traces are this host's mounts and control sockets, and its interfaces of our names.
func traces(t *testing.T) (all []string) {
	t.Helper()
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for _, pattern := range []string{"/sys/class/net/" + realtime.Interface, "/sys/class/net/veth*",
		socketFolder + "/" + realtime.Interface + "*"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, found...)
	}
	return append(all, strings.Split(string(mounts), "\n")...)
}

func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !f(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within 30 s: %s", what)
		}
	}
}
