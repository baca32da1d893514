//go:build linux

package uapi

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// listen is Listen on a name of the test's own.
func listen(t testing.TB, name string) net.Listener {
	t.Helper()
	l, err := Listen(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func TestSocketIsForRootAlone(t *testing.T) {
	old := unix.Umask(0) // the process's umask has no say
	defer unix.Umask(old)
	listen(t, "mode0")
	info, err := os.Stat("/var/run/wireguard/mode0.sock")
	if err != nil || info.Mode() != os.ModeSocket|0o700 {
		t.Fatalf("the socket is %v, %v", info.Mode(), err)
	}
}

func TestNamesThatArePaths(t *testing.T) {
	for _, name := range []string{"", ".", "..", "../x", "a/b", "a\x00b", "sixteen-letters-", `a\b`} {
		if l, err := Listen(name); err == nil {
			l.Close()
			t.Errorf("Listen(%q) works", name)
		}
		if c, err := Dial(context.Background(), name); err == nil || errors.Is(err, os.ErrNotExist) {
			t.Errorf("Dial(%q) tries: %v, %v", name, c, err)
		}
	}
}

func TestStaleSocketIsReplaced(t *testing.T) {
	file, err := Open("stale0")
	if err != nil {
		t.Fatal(err)
	}
	file.Close() // as if killed: nobody listens, the file is there
	if _, err := os.Lstat(Path("stale0")); err != nil {
		t.Fatal(err)
	}
	serveOn(t, &Server{Device: newNode(t, 0)}, listen(t, "stale0"))
	c, err := Dial(t.Context(), "stale0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Get(); err != nil {
		t.Fatal(err)
	}
}

func TestLiveSocketIsRefused(t *testing.T) {
	serveOn(t, &Server{Device: newNode(t, 0)}, listen(t, "live0"))
	l, err := Listen("live0")
	if !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), Path("live0")) {
		t.Fatalf("a second instance gets %v, %v", l, err)
	}
	c, err := Dial(t.Context(), "live0")
	if err != nil {
		t.Fatalf("the first instance was disturbed: %v", err)
	}
	c.Close()
}

func TestOtherFileIsLeftAlone(t *testing.T) {
	listen(t, "makesdir0")
	if err := os.WriteFile(Path("file0"), []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if l, err := Listen("file0"); err == nil {
		l.Close()
		t.Fatal("Listen replaced a file that is not a socket")
	}
	if b, err := os.ReadFile(Path("file0")); err != nil || string(b) != "mine" {
		t.Fatalf("the file is %q, %v", b, err)
	}
}

// Many instances start at once over a stale socket: one lives.
func TestOneOfManyOpens(t *testing.T) {
	for round := range 10 {
		name := fmt.Sprintf("race%d", round)
		if file, err := Open(name); err != nil {
			t.Fatal(err)
		} else {
			file.Close()
		}
		var won atomic.Int32
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				file, err := Open(name)
				if err == nil {
					won.Add(1)
					t.Cleanup(func() { file.Close() })
				} else if !errors.Is(err, ErrInUse) {
					t.Error(err)
				}
			})
		}
		if all.Wait(); won.Load() != 1 {
			t.Fatalf("%d of 8 instances got the socket", won.Load())
		}
	}
}

func TestCloseRemovesTheFile(t *testing.T) {
	l := listen(t, "close0")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(Path("close0")); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("after Close: %v", err)
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Fatalf("Accept after Close: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatalf("Close again: %v", err)
	}
}

// LIFE-11. The socket of whoever came after is not ours to remove.
func TestLIFE11(t *testing.T) {
	for i, vanish := range []func(path string) error{
		os.Remove,
		func(path string) error { return os.Rename(path, path+".old") },
		func(path string) error { // replaced
			if err := os.Remove(path); err != nil {
				return err
			}
			return os.WriteFile(path, nil, 0o600)
		},
		func(path string) error {
			l, err := net.Listen("unix", path+".new")
			if err != nil {
				return err
			}
			t.Cleanup(func() { l.Close() })
			return os.Rename(path+".new", path)
		},
	} {
		for _, polled := range []bool{false, true} {
			name := fmt.Sprintf("gone%d%t", i, polled)
			l := listen(t, name)
			if polled {
				l = poll(t, l.(*listener))
			}
			done := make(chan error, 1)
			go func() { done <- (&Server{Device: newNode(t, 0)}).Serve(t.Context(), l) }()
			if c, err := Dial(t.Context(), name); err != nil {
				t.Fatal(err)
			} else {
				c.Close()
			}
			if err := vanish(Path(name)); err != nil {
				t.Fatal(err)
			}
			select {
			case err := <-done:
				if err != ErrGone {
					t.Errorf("case %d, polled %t: Serve returns %v", i, polled, err)
				}
			case <-time.After(time.Minute):
				t.Fatalf("case %d, polled %t: Serve goes on without its file", i, polled)
			}
			if _, err := os.Lstat(Path(name)); i >= 2 && err != nil {
				t.Errorf("case %d: a successor's file was removed: %v", i, err)
			}
			_ = os.Remove(Path(name)) // the successor, if there is one
		}
	}
}

// poll makes the listener one that got no inotify instance.
func poll(t *testing.T, old *listener) *listener {
	t.Helper()
	close(old.done)
	old.watch.Close()
	old.watcher.Wait()
	l := &listener{Listener: old.Listener, path: old.path, bound: old.bound, done: make(chan struct{}),
		every: 5 * time.Millisecond}
	l.watcher.Go(l.follow)
	old.closed = true
	t.Cleanup(func() { l.Close() })
	return l
}

func TestOtherFilesMayComeAndGo(t *testing.T) {
	serveOn(t, &Server{Device: newNode(t, 0)}, listen(t, "stays0"))
	for i := range 50 {
		l, err := Listen(fmt.Sprintf("other%d", i))
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
	}
	c, err := Dial(t.Context(), "stays0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Get(); err != nil {
		t.Fatal(err)
	}
}

// childVar makes a process the one that inherits a socket, WG_UAPI_FD in what will be a daemon.
const childVar = "UAPI_TEST_CHILD"

func serveInherited() int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	file := os.NewFile(3, "inherited")
	l, err := FromFile(os.Getenv(childVar), file)
	if err == nil {
		file.Close()
		err = (&Server{Device: brokenDevice{}}).Serve(ctx, l)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func TestInheritedSocket(t *testing.T) {
	file, err := Open("child0")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childVar+"=child0")
	cmd.ExtraFiles = []*os.File{file}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	file.Close()
	c, err := Dial(t.Context(), "child0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Get(); !errors.Is(err, syscall.EIO) {
		t.Errorf("the child answers %v", err)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("the child ends with %v", err)
	}
	if _, err := os.Lstat(Path("child0")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the child left its socket: %v", err)
	}
}

func TestInheritedNonsense(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if l, err := FromFile("child1", file); err == nil {
		l.Close()
		t.Error("a plain file passes for a socket")
	}
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	socket, err := tcp.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	if l, err := FromFile("child1", socket); err == nil {
		l.Close()
		t.Error("a TCP socket, open to everybody, passes for a configuration socket")
	}
}
