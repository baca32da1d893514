package realtime

import (
	"crypto/ecdh"
	"fmt"
	"net/netip"

	"github.com/purewire/purewire/protocol/conformance"
	"github.com/purewire/purewire/timers"
)

// Configure implements conformance.Subject.
func (s *Subject) Configure(now timers.Time, c conformance.Change) error {
	s.wait(now)
	return s.apply(&c)
}

// apply brings a change about: MTU and down before what concerns the protocol, up after it, as wg-quick(8) does.
func (s *Subject) apply(c *conformance.Change) error {
	if c.MTU != nil || c.Up != nil {
		s.after(byHost)
	}
	if c.MTU != nil {
		if err := s.cable.subject.LinkSetMTU(s.link, *c.MTU); err != nil {
			return fmt.Errorf("MTU %d: %w", *c.MTU, err)
		}
	}
	if c.Up != nil && !*c.Up {
		if err := s.cable.subject.LinkSetDown(s.link); err != nil {
			return fmt.Errorf("setting the interface down: %w", err)
		}
		s.driver.Settle(0)
	}
	if touchesProtocol(c) {
		s.after(byAsking)
		if err := s.driver.Set(c); err != nil {
			return err
		}
	}
	s.config.merge(c)
	if c.Up != nil && *c.Up {
		if err := s.cable.subject.LinkSetUp(s.link); err != nil {
			return fmt.Errorf("setting the interface up: %w", err)
		}
		port := uint16(0)
		if s.config.ListenPort != nil {
			port = *s.config.ListenPort
		}
		s.driver.Settle(port)
	}
	if up := s.config.Up; s.setup.Host && up != nil && *up {
		// Down took the routes away, and IPv6 addresses.
		if err := s.cable.addresses(s.link, s.setup.Inner, true); err != nil {
			return err
		}
		return s.cable.routes(s.link, s.config.allowed())
	}
	return nil
}

// touchesProtocol reports whether a change has anything that the driver brings about.
func touchesProtocol(c *conformance.Change) bool {
	return c.PrivateKey != nil || c.ListenPort != nil || c.Mark != nil || c.ReplacePeers || len(c.Peers) > 0
}

// SetAddresses implements conformance.HostSubject.
func (s *Subject) SetAddresses(now timers.Time, add, remove []netip.Prefix) error {
	s.wait(now)
	s.after(byHost)
	if err := s.cable.addresses(s.cable.end, add, true); err != nil {
		return err
	}
	return s.cable.addresses(s.cable.end, remove, false)
}

// PublicKey is the public key of a private one.
func PublicKey(private conformance.Key) conformance.Key {
	k, err := ecdh.X25519().NewPrivateKey(private[:])
	if err != nil { // of another length than 32 bytes only
		return conformance.Key{}
	}
	return conformance.Key(k.PublicKey().Bytes())
}
