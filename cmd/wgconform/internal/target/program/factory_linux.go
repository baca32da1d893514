package program

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/purewire/purewire/protocol/conformance"
	"github.com/purewire/purewire/timers"
)

// idle is how long a program is listened to that has nothing to do, before it is tested.
const idle = 5 * time.Second

// Factory makes subjects of one command. It implements conformance.Factory.
type Factory struct {
	words        []string
	heart        *heart
	capabilities conformance.Capabilities
}

// New prepares a command as a target: it splits it, finds out what it is, and starts it once to listen for 5 s what
// it and its host do when there is nothing to do. Anything but silence is an error that names it, since it would be
// taken for the protocol's in the cases. kind picks the tolerances (conformance.Capabilities); empty: by the program.
// The factory is to be closed.
func New(ctx context.Context, command, kind string) (*Factory, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("exec: needs root: it makes network namespaces")
	}
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		return nil, errors.New("exec: needs /dev/net/tun")
	}
	if strconv.IntSize != 64 {
		return nil, errors.New("exec: needs a 64-bit machine: time stamps have another form elsewhere")
	}
	words, err := split(command, os.Getenv)
	if err != nil {
		return nil, err
	}
	f := &Factory{words: words, heart: newHeart()}
	f.capabilities = conformance.Capabilities{
		Name: "exec:" + words[0],
		Has: conformance.NeedInner | conformance.NeedConfigure | conformance.NeedInterface | conformance.NeedRestart |
			conformance.NeedState | conformance.NeedUAPI | conformance.NeedLoad | conformance.NeedTOS |
			conformance.NeedOuter | conformance.NeedIPv6 | conformance.NeedHost | conformance.NeedSources,
		Lacks: map[conformance.Need]string{
			conformance.NeedWall:    "the wall clock is the machine's, which others use too",
			conformance.NeedVirtual: "the program runs in real time",
		},
	}
	if _, err := os.Stat("/proc/net/if_inet6"); err != nil {
		f.capabilities.Has &^= conformance.NeedIPv6
		f.capabilities.Lacks[conformance.NeedIPv6] = "the kernel of this machine has no IPv6"
	}
	is, err := identify(ctx, words[0])
	if err == nil {
		f.capabilities.Version, f.capabilities.Kind = is.version, is.kind
		if kind != "" {
			f.capabilities.Kind = kind
		}
		err = f.listen(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Capabilities implements conformance.Factory.
func (f *Factory) Capabilities() conformance.Capabilities { return f.capabilities }

// New implements conformance.Factory. A nil error means that the program runs, is configured and answers.
func (f *Factory) New(setup conformance.Setup) (conformance.Subject, error) {
	s, err := newSubject(f.words, f.heart, setup)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Close ends the factory, not its subjects.
func (f *Factory) Close() error {
	f.heart.close()
	return nil
}

// listen starts the program with a peer that has nothing to say, and waits.
func (f *Factory) listen(ctx context.Context) (err error) {
	setup, err := idleSetup()
	if err != nil {
		return err
	}
	s, err := newSubject(f.words, f.heart, setup)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	defer context.AfterFunc(ctx, s.Wake)()
	for until := s.Now() + timers.Time(idle); s.Now() < until; {
		s.Advance(until)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if heard := s.unexpected(); len(heard) > 0 {
			return fmt.Errorf("%s: not silent when idle: %s", f.words[0], strings.Join(heard, "; "))
		}
	}
	return nil
}

// unexpected takes what the subject did and describes it.
func (s *Subject) unexpected() (heard []string) {
	var o conformance.Output
	s.Take(&o)
	for _, d := range o.Datagrams {
		heard = append(heard, "it sent "+portray(d.IP))
	}
	for _, p := range o.Others {
		heard = append(heard, "its host sent "+portray(p.Bytes))
	}
	for _, p := range o.Packets {
		heard = append(heard, "it delivered "+portray(p.Bytes))
	}
	heard = append(heard, s.strangers...)
	if o.Died != "" {
		heard = append(heard, "it is gone: "+o.Died)
	}
	return heard
}

// idleSetup is a subject with one peer that it has no reason to talk to.
func idleSetup() (conformance.Setup, error) {
	var private, peer conformance.Key
	for _, k := range []*conformance.Key{&private, &peer} {
		if _, err := rand.Read(k[:]); err != nil {
			return conformance.Setup{}, err
		}
	}
	port, mtu, up := uint16(51820), 1420, true
	endpoint := netip.MustParseAddrPort("192.0.2.77:1")
	return conformance.Setup{
		Name:   "idle",
		Local4: netip.MustParsePrefix("192.0.2.1/24"),
		Local6: netip.MustParsePrefix("2001:db8::1/64"),
		Config: conformance.Change{PrivateKey: &private, ListenPort: &port, MTU: &mtu, Up: &up,
			Peers: []conformance.PeerChange{{PublicKey: publicKey(peer), Endpoint: &endpoint,
				AllowedIPs: []netip.Prefix{netip.MustParsePrefix("10.77.0.0/16")}}}},
	}, nil
}
