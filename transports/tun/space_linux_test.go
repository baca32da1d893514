package tun

import (
	"os"
	"testing"

	"github.com/purewire/purewire/transports/internal/netspace"
)

const deadline = netspace.Deadline

// A space is a network namespace for TUN interfaces.
type space struct{ *netspace.Space }

func newSpace(t *testing.T) *space {
	t.Helper()
	s := &space{netspace.New(t)}
	if _, err := os.Stat(devicePath); err != nil {
		t.Fatalf("this test makes TUN interfaces: %v", err)
	}
	return s
}

// device opens a TUN interface in the namespace: 10.99.0.1 and fd99::1, and all traffic for .2 and ::2 comes out of it.
func (s *space) device(t *testing.T, name string, mtu int, o Options) (d *Device) {
	t.Helper()
	var err error
	if s.Do(func() { d, err = Open(name, mtu, o) }); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

// up gives it addresses, host .1 or .2, and brings it up without the host's own chatter.
func (s *space) up(t *testing.T, d *Device, host string) {
	t.Helper()
	n := d.Name()
	s.IP(t, "link set "+n+" addrgenmode none", "addr add 10.99.0."+host+"/24 dev "+n,
		"addr add fd99::"+host+"/64 dev "+n+" nodad", "link set "+n+" up")
	s.Settle(t, "fd99::"+host)
}
