package realtime

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/purewire/purewire/protocol/conformance"
	"github.com/purewire/purewire/timers"
)

// idle is how long a subject is listened to that has nothing to do, before the implementation is tested.
const idle = 5 * time.Second

// Listen starts a subject with a peer that has nothing to say, and listens for 5 s what it and its host do. Anything
// but silence is an error that names it, since it would be taken for the protocol's in the cases. name is the
// implementation's.
func Listen(ctx context.Context, name string, start func(conformance.Setup) (*Subject, error)) (err error) {
	setup, err := Idle()
	if err != nil {
		return err
	}
	s, err := start(setup)
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
		if heard := s.Unexpected(); len(heard) > 0 {
			return fmt.Errorf("%s: not silent when idle: %s", name, strings.Join(heard, "; "))
		}
	}
	return nil
}

// Unexpected takes what the subject did and describes it.
func (s *Subject) Unexpected() (heard []string) {
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

// Idle is a subject with one peer that it has no reason to talk to.
func Idle() (conformance.Setup, error) {
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
			Peers: []conformance.PeerChange{{PublicKey: PublicKey(peer), Endpoint: &endpoint,
				AllowedIPs: []netip.Prefix{netip.MustParsePrefix("10.77.0.0/16")}}}},
	}, nil
}
