package main

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"

	"github.com/purewire/purewire/protocol"
)

// resolver is what net.Resolver does.
type resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// How long names may take: a tunnel is often set up before the network is.
const (
	resolvePatience = 30 * time.Second
	resolvePause    = time.Second
)

// changes turns the file into what the core takes, and looks endpoints up (UAPI-20 leaves names to the client, and
// here that is us).
func (c *config) changes(ctx context.Context, r resolver) ([]protocol.Change, error) {
	out := []protocol.Change{{Op: protocol.OpIdentity, Identity: protocol.NewIdentity(c.PrivateKey)}}
	for i := range c.Peers {
		p := &c.Peers[i]
		change := protocol.Change{
			Op: protocol.OpPutPeer, Peer: p.PublicKey, PresharedKey: p.PresharedKey,
			PersistentKeepalive: p.PersistentKeepalive, AllowedIPs: p.AllowedIPs,
		}
		if p.Endpoint.line > 0 {
			at, err := p.Endpoint.resolve(ctx, r)
			if err != nil {
				return nil, &fieldError{c.path, p.Endpoint.line, "Endpoint", err.Error()}
			}
			change.Endpoint = &at
		}
		out = append(out, change)
	}
	return out, nil
}

// resolve gives the first address of the host, as the resolver orders them. It tries again while the failure may pass.
func (e endpoint) resolve(ctx context.Context, r resolver) (netip.AddrPort, error) {
	if addr, err := netip.ParseAddr(e.host); err == nil {
		return netip.AddrPortFrom(addr.Unmap(), e.port), nil
	}
	ctx, cancel := context.WithTimeout(ctx, resolvePatience)
	defer cancel()
	for {
		found, err := r.LookupNetIP(ctx, "ip", e.host)
		if err == nil && len(found) > 0 {
			return netip.AddrPortFrom(found[0].Unmap(), e.port), nil
		}
		if err == nil {
			err = errors.New(e.host + " has no address")
		}
		if dns, ok := errors.AsType[*net.DNSError](err); !ok || !(dns.IsTemporary || dns.IsTimeout) {
			return netip.AddrPort{}, err
		}
		select {
		case <-ctx.Done():
			return netip.AddrPort{}, err
		case <-time.After(resolvePause):
		}
	}
}

// endpoints lists the addresses of the peers.
func endpoints(changes []protocol.Change) (all []netip.Addr) {
	for i := range changes {
		if at := changes[i].Endpoint; at != nil {
			all = append(all, at.Addr())
		}
	}
	return all
}
