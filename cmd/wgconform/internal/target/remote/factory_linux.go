package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"time"

	"github.com/purewire/purewire/cmd/wgconform/internal/target/realtime"
	"github.com/purewire/purewire/protocol/conformance"
)

// resetPatience is how long the device may take to be there again after a reset.
const resetPatience = time.Minute

// Factory makes subjects of one device. It implements conformance.Factory.
type Factory struct {
	ctx          context.Context
	device       *device
	heart        *realtime.Heart
	notices      io.Writer // for a person
	jitter       time.Duration
	capabilities conformance.Capabilities
	used         bool
}

func now() int64 { return realtime.Boottime() }

// New reads a target file and makes sure of what it says: every peer of it shakes hands with the device, its echo
// answers. Of the handshakes it measures how long the way takes. kind picks the tolerances; empty: those of remote
// devices. notices gets what a person is asked to do. The factory is to be closed.
func New(ctx context.Context, file, kind string, notices io.Writer) (*Factory, error) {
	if strconv.IntSize != 64 {
		return nil, errors.New("remote: needs a 64-bit machine: time stamps have another form elsewhere")
	}
	d, err := read(file)
	if err != nil {
		return nil, err
	}
	f := &Factory{ctx: ctx, device: d, heart: realtime.NewHeart(), notices: notices}
	f.capabilities = capabilities(d, file)
	if kind != "" {
		f.capabilities.Kind = kind
	}
	if d.Reset != "" {
		err = f.reset()
	}
	if err == nil {
		err = f.examine()
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Capabilities implements conformance.Factory.
func (f *Factory) Capabilities() conformance.Capabilities { return f.capabilities }

// New implements conformance.Factory. Every instance but the first begins with a reset, if there is one.
func (f *Factory) New(conformance.Setup) (conformance.Subject, error) {
	if f.used && f.device.Reset != "" {
		if err := f.reset(); err != nil {
			return nil, err
		}
	}
	f.used = true
	s, err := newSubject(f)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Close ends the factory, not its subjects.
func (f *Factory) Close() error {
	f.heart.Close()
	return nil
}

// outer is where the device is in a family, or in the other one if it has no address of that.
func (f *Factory) outer(v6 bool) netip.AddrPort {
	all := f.device.given.Outer
	for _, a := range all {
		if a.Addr().Is6() == v6 {
			return a
		}
	}
	return all[0]
}

// from is the address of this host to send from in a family; invalid: whichever leads to the device.
func (f *Factory) from(v6 bool) netip.Addr {
	for _, a := range f.device.local {
		if a.Is6() == v6 {
			return a
		}
	}
	return netip.Addr{}
}

func (f *Factory) isDevice(a netip.Addr) bool {
	for _, d := range f.device.given.Outer {
		if d.Addr().WithZone("") == a {
			return true
		}
	}
	return false
}

// reset runs the reset command and waits until the device answers again.
func (f *Factory) reset() error {
	ctx, cancel := context.WithTimeout(f.ctx, resetPatience)
	defer cancel()
	if err := shell(ctx, f.device.Reset); err != nil {
		return fmt.Errorf("reset: %w", err)
	}
	e, err := newExamination(f)
	if err != nil {
		return err
	}
	defer e.close()
	for ctx.Err() == nil {
		if _, err := e.shake(0); err == nil {
			time.Sleep(apart)
			return nil
		}
	}
	return fmt.Errorf("reset: the device does not answer handshakes within %v of the reset command", resetPatience)
}
