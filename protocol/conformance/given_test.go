package conformance_test

import (
	"bytes"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/purewire/purewire/protocol/conformance"
	"github.com/purewire/purewire/protocol/conformance/coretarget"
	"github.com/purewire/purewire/protocol/conformance/peer"
	"github.com/purewire/purewire/timers"
)

// deviceFactory makes a subject into what a device behind a network is: configured before the run, with an echo inside
// and nothing else to see or to change.
type deviceFactory struct {
	conformance.Factory
	key   conformance.Key // private
	given conformance.Given
}

// newDevice gives a device around a subject, with a number of peers, every third of which has a preshared key, and a
// UDP echo service or hosts that answer pings.
func newDevice(f conformance.Factory, peers int, pings bool) *deviceFactory {
	d := &deviceFactory{Factory: f, key: conformance.Key{31: 0x40, 1: 7}}
	d.given.PublicKey = peer.PairOf(d.key).Public
	four, six := netip.MustParseAddrPort("10.99.0.1:7"), netip.MustParseAddrPort("[fd99::1]:7")
	d.given.EchoUDP = []netip.AddrPort{four, six}
	if pings {
		d.given.EchoUDP, d.given.EchoPing = nil, []netip.Addr{four.Addr(), six.Addr()}
	}
	for i := range peers {
		n := byte(i + 1)
		o := conformance.PeerOffer{Private: conformance.Key{8, n, 9, 31: 0x40}, AllowedIPs: []netip.Prefix{
			netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 99, 1, n}), 32),
			netip.PrefixFrom(netip.AddrFrom16([16]byte{0xfd, 0x99, 3: 1, 15: n}), 128)}}
		if i%3 == 2 {
			o.PresharedKey = conformance.Key{1, 2, n}
		}
		d.given.Peers = append(d.given.Peers, o)
	}
	return d
}

// Capabilities: what a socket does not show is lacking. Time is still ours.
func (d *deviceFactory) Capabilities() conformance.Capabilities {
	c := d.Factory.Capabilities()
	c.Given, c.Has = &d.given, conformance.NeedTOS|conformance.NeedIPv6
	return c
}

func (d *deviceFactory) New(s conformance.Setup) (conformance.Subject, error) {
	s.Config.PrivateKey = &d.key
	for i := range d.given.Peers {
		o := &d.given.Peers[i]
		s.Config.Peers = append(s.Config.Peers, conformance.PeerChange{PublicKey: peer.PairOf(o.Private).Public,
			PresharedKey: &o.PresharedKey, AllowedIPs: o.AllowedIPs})
	}
	inner, err := d.Factory.New(s)
	return &device{Subject: inner, given: &d.given}, err
}

// device is a subject whose host answers what it has an echo for and drops everything else.
type device struct {
	conformance.Subject
	given *conformance.Given
	out   conformance.Output
}

// pump lets the host answer until it has nothing to answer any more.
func (d *device) pump() {
	for {
		var o conformance.Output
		d.Subject.Take(&o)
		d.out.Datagrams = append(d.out.Datagrams, o.Datagrams...)
		if o.Died != "" {
			d.out.Died = o.Died
		}
		var answers [][]byte
		for _, p := range o.Packets {
			if a := d.answer(p.Bytes); a != nil {
				answers = append(answers, a)
			}
		}
		if len(answers) == 0 {
			return
		}
		d.Subject.Packets(d.Now(), answers)
	}
}

// answer is what a host with an echo sends because of a packet. It writes its own IP header.
func (d *device) answer(b []byte) []byte {
	header, id := 20, 4
	if len(b) > 0 && b[0] == 0x60 {
		header, id = 40, 2
	}
	if len(b) < header+8 || b[0] != 0x45 && b[0] != 0x60 {
		return nil
	}
	src, dst, p := conformance.Source(b), conformance.Destination(b), b[header:]
	from := netip.AddrPortFrom(src, uint16(p[0])<<8|uint16(p[1]))
	to := netip.AddrPortFrom(dst, uint16(p[2])<<8|uint16(p[3]))
	proto := b[9]
	if header == 40 {
		proto = b[6]
	}
	var right, a []byte
	switch {
	case proto == 17 && slices.Contains(d.given.EchoUDP, to):
		right, a = conformance.UDP(from, to, p[8:]), conformance.UDP(to, from, p[8:])
	case (proto == 1 || proto == 58) && slices.Contains(d.given.EchoPing, dst):
		id, seq := uint16(p[4])<<8|uint16(p[5]), uint16(p[6])<<8|uint16(p[7])
		right, a = conformance.Echo(src, dst, id, seq, p[8:]), conformance.EchoReply(dst, src, id, seq, p[8:])
	}
	if a == nil || !bytes.Equal(right[header:], p) { // a wrong checksum
		return nil
	}
	if a[id] = 0x12; header == 20 {
		return conformance.FixHeader(a)
	}
	return a
}

func (d *device) Input(now timers.Time, in []conformance.Datagram) conformance.Stamp {
	at := d.Subject.Input(now, in)
	d.pump()
	return at
}

func (d *device) Advance(now timers.Time) timers.Time {
	for len(d.out.Datagrams) == 0 && d.out.Died == "" && d.Now() < now {
		d.Subject.Advance(now)
		d.pump()
	}
	return d.Now()
}

func (d *device) Take(o *conformance.Output) {
	d.pump()
	*o, d.out = d.out, conformance.Output{}
}

// unseen are cases whose bad subject delivers a packet of its own making, which no echo answers. One that took the
// message in question would deliver the packet in it, which is for the echo.
var unseen = []string{"key/index/other-is-dropped", "key/rotation/unconfirmed-is-replaced",
	"key/rotation/third-generation-drops-first", "key/replay/limit", "key/replay/limit-reached"}

// unfit are cases that would pass there and are not for a device, and why.
var unfit = map[string]string{
	"handshake/timestamp/no-clock": "the device has seen greater timestamps of every peer, in earlier cases",
}

// deviceRun runs cases on a device around a subject.
func deviceRun(t *testing.T, f conformance.Factory, pings bool, cases []conformance.Case) []conformance.Result {
	t.Helper()
	o := conformance.Options{Jobs: runtime.GOMAXPROCS(0), Only: []string{*onlyCase}, Cases: cases}
	return slices.Collect(conformance.Run(t.Context(), newDevice(f, 8, pings), o))
}

// TestDevice: every case of device.txt passes on our core in the place of a device that is configured already and shows
// nothing but an echo, of UDP or of pings; no other case runs there.
func TestDevice(t *testing.T) {
	for _, pings := range []bool{false, true} {
		if pings && testing.Short() {
			continue
		}
		n := 0
		for _, r := range deviceRun(t, coretarget.Factory{}, pings, slices.Collect(conformance.Cases())) {
			listed := slices.Contains(deviceList(t), r.Case)
			switch r.Verdict {
			case conformance.Pass, conformance.Measured:
				if n++; !listed {
					t.Errorf("pings %v: %s runs, and is not in device.txt", pings, r.Case)
				}
			case conformance.Unsupported:
				if listed {
					t.Errorf("pings %v: %s: unsupported: %s", pings, r.Case, r.Reason)
				}
			default:
				t.Errorf("pings %v: %s: %s: %s%s", pings, r.Case, r.Verdict, r.Reason, tail(r))
			}
		}
		t.Logf("pings %v: %d cases", pings, n)
	}
}

// sender is a device whose trigger makes it send pings, and that shows nothing by an echo.
type sender struct{ *device }

func (s sender) Packets(now timers.Time, in [][]byte) conformance.Stamp {
	for _, p := range in {
		p := conformance.Echo(conformance.Source(p), conformance.Destination(p), 7, 1, []byte("are you there?"))
		s.device.Subject.Packets(now, [][]byte{p})
	}
	return conformance.At(s.Now())
}

type senderFactory struct{ *deviceFactory }

func (f senderFactory) New(s conformance.Setup) (conformance.Subject, error) {
	d, err := f.deviceFactory.New(s)
	return sender{d.(*device)}, err
}

// TestDeviceThatSends: a trigger that makes the device send something is enough for cases that ask what it sends; the
// others are unsupported and do not fail.
func TestDeviceThatSends(t *testing.T) {
	f := senderFactory{newDevice(coretarget.Factory{}, 8, false)}
	f.given.EchoUDP, f.given.Sends, f.given.Patience = nil, true, time.Second
	n, initiator := 0, 0
	for r := range conformance.Run(t.Context(), f, conformance.Options{Only: []string{*onlyCase}}) {
		switch r.Verdict {
		case conformance.Pass, conformance.Measured:
			if n++; strings.HasPrefix(r.Case, "handshake/accept/") {
				initiator++
			}
		case conformance.Unsupported:
		default:
			t.Errorf("%s: %s: %s%s", r.Case, r.Verdict, r.Reason, tail(r))
		}
	}
	if t.Logf("%d cases", n); *onlyCase == "*" && (n < 60 || initiator == 0) {
		t.Errorf("%d cases passed, %d of them with the device as initiator", n, initiator)
	}
}

// deviceList reads device.txt, each ID of which is a case, once.
func deviceList(t *testing.T) (ids []string) {
	t.Helper()
	text, err := os.ReadFile("device.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			ids = append(ids, line)
		}
	}
	return ids
}

// TestDeviceKills: what a case finds on a subject whose inner side it sees, it finds on a device, too: each case of
// device.txt fails on one of its bad subjects there. It also says which cases could be in the list and are not.
func TestDeviceKills(t *testing.T) {
	bads, named := subjects(t)
	ids := deviceList(t)
	cases := map[string]conformance.Case{}
	for c := range conformance.Cases() {
		cases[c.ID] = c
	}
	for i, id := range ids {
		if cases[id].ID == "" || slices.Index(ids, id) != i {
			t.Errorf("device.txt: %s is no case, or there twice", id)
		}
	}
	var others []conformance.Case
	for c := range conformance.Cases() {
		if c.Device {
			if !killedOnDevice(t, bads, named, c) && !slices.Contains(unseen, c.ID) && conformance.Glob(*onlyCase, c.ID) {
				t.Errorf("%s: fails on none of its bad subjects on a device", c.ID)
			}
			continue
		}
		c.Device = true
		others = append(others, c)
	}
	for _, r := range deviceRun(t, coretarget.Factory{}, false, others) {
		c := cases[r.Case]
		c.Device = true
		if (r.Verdict == conformance.Pass || r.Verdict == conformance.Measured) && killedOnDevice(t, bads, named, c) {
			if unfit[r.Case] == "" {
				t.Logf("could be in device.txt: %s", r.Case)
			}
		}
	}
}

func killedOnDevice(t *testing.T, bads map[string]bad, named map[string]map[string]bool, c conformance.Case) bool {
	for name := range named[c.ID] {
		for _, r := range deviceRun(t, badFactory{bads[name]}, false, []conformance.Case{c}) {
			if failing(r) {
				return true
			}
		}
	}
	return false
}
