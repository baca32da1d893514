package remote

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/netip"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/purewire/purewire/protocol/conformance"
	"github.com/purewire/purewire/protocol/conformance/peer"
)

// Plan says what Generate is to make. All of it is as the user wrote it.
type Plan struct {
	Name      string
	Addresses []string
	Local     []string
	PublicKey string // of a device that has a key; empty: one is made for it
	Peers     int
	Networks  []netip.Prefix // inside, one of each family at most; the device gets the first address
	Trigger   Trigger
	Observe   []string
	Reset     string
}

// mostPeers is what fits in the inner networks that are made by default.
const mostPeers = 1000

// Generate makes a target file and the configuration that makes the device the target, in the form of wg(8) and
// wg-quick(8). Every third peer has a preshared key. Both hold private keys.
func Generate(p Plan) (file, configuration []byte, err error) {
	if p.Peers < 1 || p.Peers > mostPeers {
		return nil, nil, fmt.Errorf("%d peers: there may be 1 to %d", p.Peers, mostPeers)
	}
	f := File{Version: Version, Name: p.Name, Addresses: p.Addresses, Local: p.Local, PublicKey: p.PublicKey,
		Trigger: p.Trigger, Observe: p.Observe, Reset: p.Reset}
	var own peer.Pair
	if p.PublicKey == "" {
		own = peer.NewPair(rand.Reader)
		f.PublicKey = text(own.Public)
	}
	var peers strings.Builder
	for i := range p.Peers {
		pair := peer.NewPair(rand.Reader)
		one := Peer{PrivateKey: text(pair.Private)}
		fmt.Fprintf(&peers, "\n[Peer]\nPublicKey = %s\n", text(pair.Public))
		if i%3 == 2 {
			var psk conformance.Key
			if _, err := rand.Read(psk[:]); err != nil {
				return nil, nil, err
			}
			one.PresharedKey = text(psk)
			fmt.Fprintf(&peers, "PresharedKey = %s\n", one.PresharedKey)
		}
		for _, n := range p.Networks {
			a, err := nth(n, i+2)
			if err != nil {
				return nil, nil, err
			}
			one.AllowedIPs = append(one.AllowedIPs, netip.PrefixFrom(a, a.BitLen()).String())
		}
		fmt.Fprintf(&peers, "AllowedIPs = %s\n", strings.Join(one.AllowedIPs, ", "))
		f.Peers = append(f.Peers, one)
	}
	body, err := yaml.Marshal(f)
	if err != nil {
		return nil, nil, err
	}
	file = append([]byte("# A target of wgconform run --target remote:THIS-FILE. It holds private keys.\n"),
		strings.TrimRight(string(body), "\n")+"\n"...)
	d, err := parse("the file to be written", file)
	if err != nil {
		return nil, nil, err
	}
	return file, append(head(d, &p, own), peers.String()...), nil
}

// head is the part of the configuration about the device itself.
func head(d *device, p *Plan, own peer.Pair) []byte {
	var b strings.Builder
	b.WriteString("[Interface]\n")
	if p.PublicKey == "" {
		fmt.Fprintf(&b, "PrivateKey = %s\n", text(own.Private))
	} else {
		fmt.Fprintf(&b, "# PrivateKey = the one of %s\n", p.PublicKey)
	}
	fmt.Fprintf(&b, "ListenPort = %d\n", d.given.Outer[0].Port())
	var addresses []string
	for _, n := range p.Networks {
		if a, err := nth(n, 1); err == nil {
			addresses = append(addresses, netip.PrefixFrom(a, n.Bits()).String())
		}
	}
	fmt.Fprintf(&b, "Address = %s\n", strings.Join(addresses, ", "))
	return []byte(b.String())
}

// nth is the nth address of a network.
func nth(n netip.Prefix, i int) (netip.Addr, error) {
	a := n.Masked().Addr()
	for range i {
		a = a.Next()
	}
	if !n.Contains(a) {
		return a, fmt.Errorf("the network %v is too small for %d peers", n, i-1)
	}
	return a, nil
}

// Device is the address that a device has in a network.
func Device(n netip.Prefix) netip.Addr { return n.Masked().Addr().Next() }

func text(k conformance.Key) string { return base64.StdEncoding.EncodeToString(k[:]) }
