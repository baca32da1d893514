package program

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/purewire/purewire/cmd/wgconform/internal/target/realtime"
	"github.com/purewire/purewire/protocol/conformance"
)

// The test binary is also the programs under test: envFake picks one. They are no WireGuard, but have an interface, a
// configuration socket that accepts everything, and one bad habit each.
const envFake = "PROGRAM_TEST_FAKE"

// envRunner makes the test binary a runner that is to be killed.
const envRunner = "PROGRAM_TEST_RUNNER"

func TestMain(m *testing.M) {
	switch {
	case os.Getenv(envFake) != "":
		if err := fake(os.Getenv(envFake), os.Args[len(os.Args)-1]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	case os.Getenv(envRunner) != "":
		if err := runner(os.Getenv(envRunner)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// fakeCommand is the command line of a program with a habit.
func fakeCommand(t testing.TB, habit string) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("env %s=%s '%s' {if}", envFake, habit, self)
}

// fake is such a program: it echoes what comes to its UDP port, and what comes into its interface.
func fake(habit, name string) error {
	tun, err := openTUN(name)
	if err != nil {
		return err
	}
	l, err := net.Listen("unix", filepath.Join(socketFolder, name+".sock"))
	if err != nil {
		return err
	}
	switch habit {
	case "deaf": // has no UDP socket
		go serve(l, habit, nil)
	case "daemon":
		if os.Getenv("PROGRAM_TEST_BACKGROUND") == "" {
			l.Close()
			tun.Close()
			os.Remove(filepath.Join(socketFolder, name+".sock"))
			c := exec.Command("/proc/self/exe", name)
			c.Env = append(os.Environ(), "PROGRAM_TEST_BACKGROUND=1")
			c.Stderr = os.Stderr
			return c.Start()
		}
		fallthrough
	default:
		u, err := net.ListenUDP("udp", &net.UDPAddr{Port: 51820})
		if err != nil {
			return err
		}
		if habit == "marks" {
			raw, err := u.SyscallConn()
			if err != nil {
				return err
			}
			_ = raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_MARK, 77) })
			if err != nil {
				return err
			}
		}
		go echo(u)
		go serve(l, habit, u)
	}
	go func() {
		for b := make([]byte, 1<<16); ; {
			n, err := tun.Read(b)
			if err == nil {
				_, _ = tun.Write(b[:n])
			}
		}
	}()
	select {}
}

// openTUN makes an interface.
func openTUN(name string) (*os.File, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	req, err := unix.NewIfreq(name)
	if err != nil {
		return nil, err
	}
	req.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, req); err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "tun"), nil
}

func echo(u *net.UDPConn) {
	for b := make([]byte, 1<<16); ; {
		n, from, err := u.ReadFromUDPAddrPort(b)
		if err != nil {
			return
		}
		if strings.HasPrefix(string(b[:n]), "die") {
			die(string(b[:n]))
		}
		_, _ = u.WriteToUDPAddrPort(b[:n], from)
	}
}

// die ends the program in one of several ways.
func die(how string) {
	fmt.Fprintln(os.Stderr, "dying of", how)
	switch how {
	case "die exit":
		os.Exit(3)
	case "die signal":
		signal.Reset()
		_ = unix.Kill(os.Getpid(), unix.SIGSEGV)
		select {}
	}
	panic(how)
}

// serve answers on the configuration socket.
func serve(l net.Listener, habit string, u *net.UDPConn) {
	for served := 1; ; served++ {
		c, err := l.Accept()
		if err != nil {
			return
		}
		for s := bufio.NewScanner(c); s.Scan() && s.Text() != ""; {
		}
		answer := "errno=0\n\n"
		if habit == "unsupported" && served > 1 {
			answer = "errno=95\n\n"
		}
		_, _ = c.Write([]byte(answer))
		c.Close()
		if habit == "mute" && served == 4 { // state, set, and two more
			select {}
		}
		if habit == "chatty" {
			time.AfterFunc(time.Second, func() { // as one that looks for its updates
				_, _ = u.WriteToUDPAddrPort([]byte("hello?"), net.UDPAddrFromAddrPort(tester4).AddrPort())
			})
		}
	}
}

// need fails the test, saying what this machine lacks.
func need(t testing.TB, programs ...string) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Fatal("this test needs root, for it makes network namespaces and TUN devices")
	}
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		t.Fatal("this test needs /dev/net/tun")
	}
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			t.Fatalf("this test needs %s: %v", p, err)
		}
	}
}

// factory makes a factory without the five seconds of listening.
func factory(t testing.TB, command string) *Factory {
	t.Helper()
	need(t)
	words, err := split(command, os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	f := &Factory{words: words, heart: realtime.NewHeart()}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

// subject starts a program as realtime.Idle says, with changes.
func subject(t testing.TB, f *Factory, change func(*conformance.Setup)) *Subject {
	t.Helper()
	setup, err := realtime.Idle()
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(&setup)
	}
	s, err := f.New(setup)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s.(*Subject)
}

// until gathers what the subject puts out until enough says so.
func until(t testing.TB, s *Subject, what string, enough func(*conformance.Output) bool) *conformance.Output {
	t.Helper()
	var all, o conformance.Output
	for end := s.Now().Add(30 * time.Second); !enough(&all); {
		if s.Advance(end) >= end {
			t.Fatalf("not within 30 s: %s", what)
		}
		s.Take(&o)
		all.Datagrams = append(all.Datagrams, o.Datagrams...)
		all.Packets = append(all.Packets, o.Packets...)
		all.Others = append(all.Others, o.Others...)
		all.Died = o.Died
	}
	return &all
}

var background = context.Background()
