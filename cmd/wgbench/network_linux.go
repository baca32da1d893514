package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"net/rpc"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/purewire/purewire/protocol"
)

const (
	interfaceName = "wgb0"
	vethName      = "veth0"
	tunnelMTU     = 1420
	listenPort    = 51820
)

// A side is our handle on one end, and what belongs to it.
type side struct {
	name         string
	outer, inner netip.Addr
	private      protocol.PrivateKey
	public       protocol.PublicKey
	process      *exec.Cmd
	input        io.Closer
	client       *rpc.Client
}

// A network is both sides and the cable between them.
type network struct {
	a, b *side
}

// newNetwork starts the ends and connects them. Close it, even on an error.
func newNetwork(ctx context.Context) (*network, error) {
	for _, tool := range []string{"ip", "wg"} {
		if _, err := exec.LookPath(tool); err != nil {
			return &network{}, fmt.Errorf("%s(8) is needed: %w", tool, err)
		}
	}
	n := &network{}
	for i, s := range []**side{&n.a, &n.b} {
		one := &side{name: string(rune('A' + i)), outer: netip.AddrFrom4([4]byte{192, 0, 2, byte(1 + i)}),
			inner: netip.AddrFrom4([4]byte{10, 77, 0, byte(1 + i)})}
		if err := one.start(); err != nil {
			return n, fmt.Errorf("starting end %s: %w", one.name, err)
		}
		*s = one
	}
	return n, n.connect(ctx)
}

// start starts the process that is the end.
func (s *side) start() error {
	identity, err := newIdentity()
	if err != nil {
		return err
	}
	s.private, s.public = identity.PrivateKey(), identity.PublicKey()
	s.process = exec.Command("/proc/self/exe", agentCommand)
	s.process.Stderr = os.Stderr
	// More threads than cores may run Go code: who gets a core is for the kernel to say, as it is for iperf3.
	s.process.Env = append(os.Environ(), "GOMAXPROCS=16")
	s.process.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID,
		Pdeathsig:  syscall.SIGKILL, // with it all of its process namespace ends, and the rest with that
		Setpgid:    true,            // the terminal's ^C is for us alone
	}
	in, err := s.process.StdinPipe()
	if err != nil {
		return err
	}
	out, err := s.process.StdoutPipe()
	if err != nil {
		return err
	}
	if err := s.process.Start(); err != nil {
		return err
	}
	s.input = in
	s.client = rpc.NewClient(struct {
		io.Reader
		io.WriteCloser
	}{out, in})
	return nil
}

func newIdentity() (protocol.PrivateKeyHolder, error) {
	var private protocol.PrivateKey
	_, err := rand.Read(private[:])
	return protocol.NewIdentity(private), err
}

// connect lays the cable and gives its ends addresses. The veth pair is made inside the namespaces: the host has at no
// time an interface that could stay behind.
func (n *network) connect(ctx context.Context) error {
	words := []string{"link", "add", "name", vethName, "netns", strconv.Itoa(n.a.process.Process.Pid),
		"type", "veth", "peer", "name", vethName, "netns", strconv.Itoa(n.b.process.Process.Pid)}
	if out, err := exec.CommandContext(ctx, "ip", words...).CombinedOutput(); err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(words, " "), err, bytes.TrimSpace(out))
	}
	for _, s := range []*side{n.a, n.b} {
		if err := s.all(ctx, "ip link set lo up", "ip link set "+vethName+" up",
			"ip addr add "+s.outer.String()+"/24 dev "+vethName); err != nil {
			return err
		}
	}
	return errors.Join(
		n.a.all(ctx, "ip route add local "+sourceNet+" dev lo"),
		n.b.all(ctx, "ip route add "+sourceNet+" via "+n.a.outer.String()))
}

// call calls a method of the end. When ctx ends the call is abandoned; close ends what it was doing.
func (s *side) call(ctx context.Context, method string, args, reply any) error {
	c := s.client.Go("End."+method, args, reply, make(chan *rpc.Call, 1))
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-c.Done:
	}
	if c.Error != nil {
		return fmt.Errorf("end %s: %s: %w", s.name, strings.ToLower(method), c.Error)
	}
	return nil
}

// run runs a command at the end and tells how long it took.
func (s *side) run(ctx context.Context, input string, words ...string) (took time.Duration, err error) {
	err = s.call(ctx, "Run", RunArgs{Words: words, Input: []byte(input)}, &took)
	return took, err
}

// all runs commands without blanks in their words.
func (s *side) all(ctx context.Context, lines ...string) error {
	for _, line := range lines {
		if _, err := s.run(ctx, "", strings.Fields(line)...); err != nil {
			return err
		}
	}
	return nil
}

// startDaemon starts the implementation at the end, with a configuration of wg(8), and brings the interface up.
func (s *side) startDaemon(ctx context.Context, i implementation, config string) error {
	if err := s.call(ctx, "Start", withInterface(i.Command, interfaceName), &Nothing{}); err != nil {
		return err
	}
	if _, err := s.run(ctx, config, "wg", "setconf", interfaceName, "/dev/stdin"); err != nil {
		return err
	}
	return s.all(ctx, "ip addr add "+s.inner.String()+"/24 dev "+interfaceName,
		fmt.Sprintf("ip link set mtu %d up dev %s", tunnelMTU, interfaceName))
}

func (s *side) stopDaemon(ctx context.Context) error {
	return s.call(ctx, "Stop", Nothing{}, &Nothing{})
}

// interfaceConfig is the first section of the end's configuration.
func (s *side) interfaceConfig() string {
	return fmt.Sprintf("[Interface]\nPrivateKey = %s\nListenPort = %d\n", protocol.PublicKey(s.private), listenPort)
}

// peerConfig is a section for a peer; endpoint may be empty.
func peerConfig(key protocol.PublicKey, allowed netip.Prefix, endpoint string) string {
	text := fmt.Sprintf("[Peer]\nPublicKey = %s\nAllowedIPs = %s\n", key, allowed)
	if endpoint != "" {
		text += "Endpoint = " + endpoint + "\n"
	}
	return text
}

// daemonAddress is where the daemon of the end listens.
func (s *side) daemonAddress() netip.AddrPort { return netip.AddrPortFrom(s.outer, listenPort) }

// tunnel starts the implementation on both ends and waits until the tunnel carries packets.
func (n *network) tunnel(ctx context.Context, i implementation) error {
	for _, p := range [][2]*side{{n.a, n.b}, {n.b, n.a}} {
		config := p[0].interfaceConfig() +
			peerConfig(p[1].public, netip.PrefixFrom(p[1].inner, 32), p[1].daemonAddress().String())
		if err := p[0].startDaemon(ctx, i, config); err != nil {
			return err
		}
	}
	var p Pings
	err := n.a.call(ctx, "Ping", PingArgs{To: n.b.inner, Interval: 20 * time.Millisecond, Length: 30 * time.Second,
		Until: 3}, &p)
	if err == nil && len(p.Micros) == 0 {
		err = fmt.Errorf("%s: no packet goes through the tunnel", i.Name)
	}
	return err
}

// stop ends the daemons of both ends.
func (n *network) stop(ctx context.Context) error {
	return errors.Join(n.a.stopDaemon(ctx), n.b.stopDaemon(ctx))
}

// close ends both ends and with them all that lives there.
func (n *network) close() error {
	var errs []error
	for _, s := range []*side{n.a, n.b} {
		if s == nil || s.process == nil || s.process.Process == nil {
			continue
		}
		if err := s.process.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			errs = append(errs, err)
		}
		// The wait ends only when the kernel has ended all processes of the namespace.
		if err := s.process.Wait(); err != nil {
			if _, killed := errors.AsType[*exec.ExitError](err); !killed {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}
