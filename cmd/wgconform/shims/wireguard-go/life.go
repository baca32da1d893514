package wireguardgo

import (
	"fmt"
	"io"
	"net/netip"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.zx2c4.com/wireguard/device"
	"golang.zx2c4.com/wireguard/tun"

	"github.com/purewire/purewire/cmd/wgconform/internal/uapitext"
	"github.com/purewire/purewire/protocol/conformance"
	"github.com/purewire/purewire/timers"
)

// flood is how many datagrams in one call are one: they arrive at once and fill the device's queue, which is what
// brings it under load. Fewer are handed over one by one, each when the device is done with the one before, because
// several of its workers would finish them in an order of their own.
const flood = 32

// epoch is when the clock of a bubble begins, and era how much later it can be at most.
var (
	epoch = time.Date(2000, time.January, 1, 0, 0, 0, 0, time.UTC)
	era   = 261 * 365 * 24 * time.Hour
)

// life is a device in a bubble, from its making to its end. Its functions run in the bubble, but for begin, in and end.
type life struct {
	calls chan func() // made outside: who waits for it keeps the bubble's clock where it is
	ended chan struct{}

	from    timers.Time // of the instance, when the device was made
	started time.Time   // the same on the bubble's clock
	dev     *device.Device
	host    *host
	inner   *inner
	up      bool
	ipc     []*ipcConn

	output chan struct{} // something was put out
	mu     sync.Mutex
	out    conformance.Output
}

// begin makes a device in a bubble of its own, at a time of the instance and of the wall clock.
func begin(t *testing.T, from timers.Time, wall time.Time, addrs []netip.Addr, log io.Writer) *life {
	l := &life{calls: make(chan func()), ended: make(chan struct{}), from: from}
	go func() {
		defer close(l.ended)
		synctest.Test(t, func(*testing.T) {
			time.Sleep(time.Until(wall))
			l.started = time.Now()
			l.output = make(chan struct{}, 1)
			l.host = &host{addrs: addrs, sent: l.sent}
			l.inner = newInner(device.DefaultMTU, l.delivered)
			l.dev = device.NewDevice(l.inner, l.host, &device.Logger{Verbosef: device.DiscardLogf,
				Errorf: func(format string, args ...any) { fmt.Fprintf(log, format+"\n", args...) }})
			for f := range l.calls {
				f()
			}
			for _, c := range l.ipc {
				c.hangUp()
			}
			l.dev.Close()
		})
	}()
	l.in(synctest.Wait)
	return l
}

// in runs a function in the bubble.
func (l *life) in(f func()) {
	done := make(chan struct{})
	l.calls <- func() {
		defer close(done)
		f()
	}
	<-done
}

// end ends the device and waits until nothing of it is left.
func (l *life) end() {
	close(l.calls)
	<-l.ended
}

func (l *life) now() timers.Time { return l.from.Add(time.Since(l.started)) }

// wall is the wall clock.
func (l *life) wall() time.Time { return time.Now() }

func (l *life) sent(d conformance.SentDatagram) {
	d.At = conformance.At(l.now())
	l.put(func() { l.out.Datagrams = append(l.out.Datagrams, d) })
}

func (l *life) delivered(packet []byte) {
	at := conformance.At(l.now())
	l.put(func() { l.out.Packets = append(l.out.Packets, conformance.SentPacket{At: at, Bytes: packet}) })
}

func (l *life) put(f func()) {
	l.mu.Lock()
	f()
	l.mu.Unlock()
	select {
	case l.output <- struct{}{}:
	default:
	}
}

func (l *life) take() (o conformance.Output) {
	l.mu.Lock()
	defer l.mu.Unlock()
	o, l.out = l.out, conformance.Output{}
	return o
}

// pass lets time pass until then, to its end: what is due then is done. With early it stops when all is done at the
// first instant at which something was put out.
func (l *life) pass(until timers.Time, early bool) {
	for {
		synctest.Wait()
		left := until.Sub(l.now())
		if left <= 0 || early && l.spoke() {
			return
		}
		timer := time.NewTimer(left)
		select {
		case <-timer.C:
		case <-l.output:
		}
		timer.Stop()
	}
}

func (l *life) spoke() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.out.Datagrams)+len(l.out.Packets) > 0
}

func (l *life) input(in []conformance.Datagram) {
	if len(in) >= flood {
		l.host.arrive(in)
		synctest.Wait()
		return
	}
	for i := range in {
		l.host.arrive(in[i : i+1])
		synctest.Wait()
	}
}

// packets gives packets of the host to the interface, which takes none while it is down.
func (l *life) packets(in [][]byte) {
	if l.up {
		l.inner.send(in)
	}
	synctest.Wait()
}

// configure applies what is not for the configuration socket, and a text for it: what takes away before, and up after
// it, as wg-quick(8) does.
func (l *life) configure(mtu *int, up *bool, text string) error {
	if mtu != nil {
		l.inner.change(func() { l.inner.mtu = *mtu })
		l.tell(tun.EventMTUUpdate)
	}
	if up != nil && !*up {
		l.up = false
		l.tell(tun.EventDown)
	}
	if text != "" {
		if _, err := l.ask(text); err != nil {
			return err
		}
	}
	if up != nil && *up {
		l.up = true
		l.tell(tun.EventUp)
	}
	return nil
}

func (l *life) tell(e tun.Event) {
	l.inner.events <- e
	synctest.Wait()
}

// ask makes a request on a connection of its own and gives the lines of the answer.
func (l *life) ask(request string) (lines []string, err error) {
	c := l.connect()
	defer c.hangUp()
	answer, _, err := c.converse(request)
	if err != nil {
		return nil, err
	}
	return uapitext.Answer(strings.NewReader(answer))
}

func (l *life) state() (conformance.State, error) {
	lines, err := l.ask("get=1\n\n")
	if err != nil {
		return conformance.State{}, err
	}
	return uapitext.State(lines)
}

// disarm takes the finalizers from a peer's queues. They receive from channels of the bubble when the garbage
// collector runs, which is outside of it, and that ends the process. All that they do is give buffers back.
func (l *life) disarm(key device.NoisePublicKey) {
	p := l.dev.LookupPeer(key)
	if p == nil {
		return
	}
	queues := reflect.ValueOf(p).Elem().FieldByName("queue")
	for _, name := range []string{"inbound", "outbound"} {
		q := queues.FieldByName(name)
		runtime.SetFinalizer(reflect.NewAt(q.Type().Elem(), q.UnsafePointer()).Interface(), nil)
	}
}
