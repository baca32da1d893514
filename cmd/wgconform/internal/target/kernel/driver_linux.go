package kernel

import (
	"errors"
	"fmt"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
	"golang.zx2c4.com/wireguard/wgctrl"

	"github.com/purewire/purewire/cmd/wgconform/internal/target/realtime"
	"github.com/purewire/purewire/protocol/conformance"
)

// driver runs a WireGuard interface of the kernel.
type driver struct {
	network int // file descriptor of its namespace; -1: none
	links   *netlink.Handle
	client  *wgctrl.Client
	before  uint64 // taints of the kernel
	*watch         // the factory's
}

var _ realtime.Driver = (*driver)(nil)

// Boot implements realtime.Driver.
func (d *driver) Boot(func()) (network int, err error) {
	if d.before, err = d.tainted(); err != nil {
		return -1, err
	}
	if d.network, err = realtime.NewNamespace(); err != nil {
		return -1, err
	}
	if d.links, err = netlink.NewHandleAt(netns.NsHandle(d.network), unix.NETLINK_ROUTE); err != nil {
		return -1, err
	}
	return d.network, nil
}

// add makes the interface.
func (d *driver) add() error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name = realtime.Interface
	if err := d.links.LinkAdd(&netlink.Wireguard{LinkAttrs: attrs}); err != nil {
		return fmt.Errorf("making an interface of type wireguard: %w", err)
	}
	return nil
}

// Start implements realtime.Driver.
func (d *driver) Start() error {
	if err := d.add(); err != nil {
		return err
	}
	return realtime.Inside(d.network, func() (err error) {
		// Before there is an interface the kernel may lack the module, and with it what the client asks for.
		if d.client == nil {
			if d.client, err = wgctrl.New(); err != nil {
				return fmt.Errorf("netlink of WireGuard: %w", err)
			}
		}
		// Of what it delivers, the kernel would join what belongs together.
		return realtime.NoOffloads(realtime.Interface)
	})
}

// Stop implements realtime.Driver: the interface goes without a word, and all that it knew.
func (d *driver) Stop() error {
	link, err := d.links.LinkByName(realtime.Interface)
	if err != nil {
		return err
	}
	return d.links.LinkDel(link)
}

// Set implements realtime.Driver.
func (d *driver) Set(c *conformance.Change) error {
	return d.client.ConfigureDevice(realtime.Interface, configuration(c))
}

// State implements realtime.Driver.
func (d *driver) State() (conformance.State, error) {
	device, err := d.client.Device(realtime.Interface)
	if err != nil {
		return conformance.State{}, err
	}
	return state(device), nil
}

// Settle implements realtime.Driver: the interface is up, with its socket, when the call returns that made it so.
func (d *driver) Settle(uint16) {}

// Waited implements realtime.Driver. That workers waited for a core says nothing here, for they work for others too.
func (d *driver) Waited() time.Duration { return 0 }

// Death implements realtime.Driver. A kernel does not end and go on; but it tells of what should not have happened.
func (d *driver) Death() string {
	now, err := d.tainted()
	switch added := now &^ d.before; {
	case err != nil:
		return err.Error()
	case added&taintDied != 0:
		return "the kernel had an oops (its log tells where)"
	case added&taintWarned != 0:
		return "the kernel gave a warning about itself (its log tells where)"
	}
	return ""
}

// Close implements realtime.Driver. The kernel removes the interface with the namespace.
func (d *driver) Close() (err error) {
	if d.client != nil {
		err = d.client.Close()
	}
	if d.links != nil {
		d.links.Close()
	}
	if d.network >= 0 {
		err = errors.Join(err, unix.Close(d.network))
	}
	return err
}
