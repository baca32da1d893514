package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/rpc"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/purewire/purewire/protocol"
)

// End is one end of the network: a process of wgbench that is the first one of its own process namespace, in a
// network and a mount namespace of its own. The other side calls its methods by net/rpc over a pair of pipes; when
// those close it exits, and the kernel ends everything else in the namespace.
type End struct {
	start   time.Time
	bytes   atomic.Int64 // that the TCP sink took
	packets atomic.Int64 // that the UDP sink took
	output  *tail        // of the daemon that was started last

	privates []protocol.PrivateKey // of the peers whose handshakes are counted
	shaker   *shaker               // prepared
}

// Nothing is what a call without arguments or results carries.
type Nothing struct{}

// Ports of the sinks in every end. Nobody reads the last one: it is where a flood hurts nobody but the network.
const (
	tcpPort    = 5201
	udpPort    = 5202
	unreadPort = 5203
)

// agent serves one end until in ends.
func agent(in io.Reader, out io.Writer) error {
	if os.Getpid() != 1 {
		return errors.New("agent is for wgbench itself: it must be the first process of a namespace")
	}
	if err := privateMounts(); err != nil {
		return err
	}
	e := &End{start: time.Now()}
	if err := e.listen(); err != nil {
		return err
	}
	server := rpc.NewServer()
	if err := server.Register(e); err != nil {
		return err
	}
	server.ServeConn(pipes{in, out})
	return nil
}

// pipes is a connection made of two pipes.
type pipes struct {
	io.Reader
	io.Writer
}

// Close has nothing to do: the process ends.
func (pipes) Close() error { return nil }

// privateMounts gives the end its own /proc, which shows its processes only, and its own control sockets.
func privateMounts() error {
	if err := unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("making mounts private: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mounting /proc: %w", err)
	}
	// All of it: a mount point below would go with its folder as soon as somebody outside removed that, and one made for
	// this would stay behind.
	dir := filepath.Dir(socketFolder)
	if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0755"); err != nil {
		return fmt.Errorf("mounting a private %s: %w", dir, err)
	}
	return os.MkdirAll(socketFolder, 0o755)
}

const socketFolder = "/var/run/wireguard"

// listen opens the sinks.
func (e *End) listen() error {
	l, err := net.Listen("tcp", fmt.Sprintf(":%d", tcpPort))
	if err != nil {
		return err
	}
	u, err := net.ListenUDP("udp", &net.UDPAddr{Port: udpPort})
	if err != nil {
		return err
	}
	if err := setBuffer(u, unix.SO_RCVBUFFORCE, 8<<20); err != nil {
		return err
	}
	unread, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	if err := unix.Bind(unread, &unix.SockaddrInet4{Port: unreadPort}); err != nil {
		return err
	}
	go e.drainTCP(l)
	go e.drainUDP(u)
	return nil
}

// RunArgs is a command and what it reads.
type RunArgs struct {
	Words []string
	Input []byte
}

// Run runs a command to its end and tells how long it took. What it printed is part of an error only.
func (e *End) Run(a RunArgs, took *time.Duration) error {
	c := exec.Command(a.Words[0], a.Words[1:]...)
	c.Stdin = bytes.NewReader(a.Input)
	begin := time.Now()
	out, err := c.CombinedOutput()
	*took = time.Since(begin)
	if err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(a.Words, " "), err, bytes.TrimSpace(out))
	}
	return nil
}

// Start starts a daemon and waits until wg(8) can talk to its interface.
func (e *End) Start(words []string, _ *Nothing) error {
	c := exec.Command(words[0], words[1:]...)
	e.output = &tail{}
	c.Stdout, c.Stderr = e.output, e.output
	c.Env = append(os.Environ(), "LOG_LEVEL=error", "WG_LOG_LEVEL=error")
	if err := c.Start(); err != nil {
		return err
	}
	exited := make(chan error, 1)
	go func() { exited <- c.Wait() }()
	deadline := time.Now().Add(20 * time.Second)
	for {
		var took time.Duration
		err := e.Run(RunArgs{Words: []string{"wg", "show", interfaceName}}, &took)
		if err == nil {
			return nil
		}
		select {
		case end := <-exited:
			if end != nil { // nil: it went into the background
				return fmt.Errorf("%s: %w: %s", strings.Join(words, " "), end, e.output)
			}
		default:
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s made no interface in time: %w: %s", strings.Join(words, " "), err, e.output)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// Stop ends all daemons: by SIGTERM, and those that stay by SIGKILL.
func (e *End) Stop(_ Nothing, _ *Nothing) error {
	begin := time.Now()
	sig := unix.SIGTERM
	for {
		pids, err := daemons()
		if err != nil {
			return err
		}
		if len(pids) == 0 && !interfaceExists() {
			return nil
		}
		switch age := time.Since(begin); {
		case age > 20*time.Second:
			return fmt.Errorf("processes %v, or their interface, stay after SIGKILL", pids)
		case age > 5*time.Second:
			sig = unix.SIGKILL
		}
		for _, pid := range pids {
			if err := unix.Kill(pid, sig); err != nil && !errors.Is(err, unix.ESRCH) {
				return err
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func interfaceExists() bool {
	_, err := net.InterfaceByName(interfaceName)
	return err == nil
}

// Alive fails if no daemon runs any more.
func (e *End) Alive(_ Nothing, _ *Nothing) error {
	pids, err := daemons()
	if err == nil && len(pids) == 0 {
		err = fmt.Errorf("the daemon has died: %s", e.output)
	}
	return err
}

// tail keeps the last bytes written to it, for error messages.
type tail struct {
	text atomic.Pointer[[]byte]
}

// Write keeps p, or its end. Only one goroutine writes.
func (t *tail) Write(p []byte) (int, error) {
	const limit = 2000
	var old []byte
	if s := t.text.Load(); s != nil {
		old = *s
	}
	now := slices.Concat(old, p)
	now = now[max(0, len(now)-limit):]
	t.text.Store(&now)
	return len(p), nil
}

// String gives what was kept, on one line.
func (t *tail) String() string {
	if t == nil || t.text.Load() == nil {
		return "(it said nothing)"
	}
	return strings.Join(strings.Fields(string(*t.text.Load())), " ")
}
