//go:build unix

package uapi_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/transports/uapi"
)

// device is a core that nobody drives; one that is driven takes the lock for that, too.
type device struct {
	mu   sync.Mutex
	core *protocol.Device
	mark uint32
}

func (d *device) Configure(changes []protocol.Change, port *uint16, mark *uint32) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if port != nil {
		return syscall.EADDRINUSE // it has no socket
	}
	err := d.core.Configure(0, changes, &protocol.Batch{})
	if err == nil && mark != nil {
		d.mark = *mark
	}
	return err
}

func (d *device) View(f func(core uapi.Core, port uint16, mark uint32)) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	f(d.core, 0, d.mark)
	return nil
}

type noEntropy struct{}

func (noEntropy) Read(p []byte) (int, error) { return len(p), nil }

// A server and a client of it. A program listens with [uapi.Listen] and connects with [uapi.Dial], on the socket
// where wg(8) looks for an interface's name.
func Example() {
	dir, err := os.MkdirTemp("", "uapi")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	l, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		panic(err)
	}
	core, err := protocol.New(protocol.Config{Entropy: noEntropy{}})
	if err != nil {
		panic(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error)
	go func() { served <- (&uapi.Server{Device: &device{core: core}}).Serve(ctx, l) }()

	conn, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		panic(err)
	}
	client, mark, port := uapi.NewClient(conn), uint32(7), uint16(51820)
	peer := protocol.Change{Op: protocol.OpPutPeer, Peer: protocol.PublicKey{1}}
	fmt.Println(client.Set(uapi.Settings{Mark: &mark, Changes: []protocol.Change{peer}}))
	fmt.Println(errors.Is(client.Set(uapi.Settings{Port: &port}), syscall.EADDRINUSE))
	state, err := client.Get()
	fmt.Println(state.Mark, len(state.Peers), err)

	client.Close()
	cancel()
	fmt.Println(<-served)
	// Output:
	// <nil>
	// true
	// 7 1 <nil>
	// <nil>
}
