package udp

import (
	"errors"
	"net"
	"net/netip"
	"strconv"
	"sync"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/transports"
	"golang.zx2c4.com/wireguard/conn"
)

// slot is the room for one received datagram in Datagrams.Buf: the most that a peer with an MTU of 65535 can send.
const slot = 1 << 16

// portable is a conn.Bind as a [transports.Link], for systems other than Linux; it is built, and tested, everywhere.
// A Bind opens with a receive function per family, in an order that it keeps: source i waits for function i. It gives
// one datagram at a time (BatchSize 1).
type portable struct {
	bind conn.Bind

	mu     sync.Mutex // guards what follows; never held over a receive
	closed bool
	port   uint16
	round  int // counts openings
	fns    []conn.ReceiveFunc
	change chan struct{}

	readers [2]otherReader
	sendMu  sync.Mutex
	bufs    [][]byte
	cached  map[netip.AddrPort]conn.Endpoint
}

type otherReader struct {
	bufs  [][]byte
	sizes []int
	eps   []conn.Endpoint
}

var _ transports.Link = (*portable)(nil)

func newPortable(bind conn.Bind) *portable {
	l := &portable{bind: bind, change: make(chan struct{}), cached: map[netip.AddrPort]conn.Endpoint{}}
	n := l.bind.BatchSize()
	for i := range l.readers {
		l.readers[i] = otherReader{make([][]byte, n), make([]int, n), make([]conn.Endpoint, n)}
	}
	return l
}

// Open listens on port in both families; 0 is any port. A Bind cannot open a second time before it has closed, so
// that a port that is taken is seen only when the old one is gone; then the old one is opened again.
func (l *portable) Open(port uint16) (actual uint16, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return 0, net.ErrClosed
	}
	if port != 0 && port == l.port {
		return port, nil
	}
	before := l.port
	l.shut()
	fns, actual, err := l.bind.Open(port)
	if err != nil {
		if before == 0 {
			return 0, err
		}
		var back error
		if fns, actual, back = l.bind.Open(before); back != nil {
			return 0, errors.Join(err, back)
		}
	}
	l.fns, l.port = fns, actual
	l.wake()
	if err != nil {
		return 0, err
	}
	return actual, nil
}

func (l *portable) wake() {
	l.round++
	close(l.change)
	l.change = make(chan struct{})
}

// Shut closes the sockets until the next Open.
func (l *portable) Shut() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.shut()
	return nil
}

func (l *portable) shut() {
	_ = l.bind.Close()
	l.fns, l.port = nil, 0
}

// Close ends Receive and Send for good.
func (l *portable) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.closed = true
		l.shut()
		l.wake()
	}
	return nil
}

// Sources is 2: IPv4 and IPv6. On a host without one of them its source stays silent.
func (l *portable) Sources() int { return len(l.readers) }

// SetMark sets the mark of what is sent, where the system has such a thing.
func (l *portable) SetMark(mark uint32) error { return l.bind.SetMark(mark) }

// Receive blocks until source has a datagram.
func (l *portable) Receive(source int, d *transports.Datagrams) error {
	d.List = d.List[:0]
	for {
		l.mu.Lock()
		closed, change, round := l.closed, l.change, l.round
		var fn conn.ReceiveFunc
		if source < len(l.fns) {
			fn = l.fns[source]
		}
		l.mu.Unlock()
		if closed {
			return net.ErrClosed
		}
		if fn == nil {
			<-change
			continue
		}
		err := l.readers[source].receive(fn, d)
		if !errors.Is(err, net.ErrClosed) {
			return err
		}
		l.forget(source, round)
	}
}

// forget keeps a reader from calling a function that was closed, unless there is a newer one.
func (l *portable) forget(source, round int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.round == round && source < len(l.fns) {
		l.fns[source] = nil
	}
}

func (r *otherReader) receive(fn conn.ReceiveFunc, d *transports.Datagrams) error {
	n := min(len(r.bufs), len(d.Buf)/slot)
	for i := range n {
		r.bufs[i] = d.Buf[i*slot : (i+1)*slot : (i+1)*slot]
	}
	got, err := fn(r.bufs[:n], r.sizes[:n], r.eps[:n])
	for i := range got {
		if r.sizes[i] == 0 {
			continue
		}
		if e, ok := endpointOf(r.eps[i]); ok {
			at := protocol.Packet{Buf: d.Buf, Off: i * slot, Len: r.sizes[i]}
			d.List = append(d.List, protocol.Datagram{Packet: at, Endpoint: e})
		}
	}
	if len(d.List) > 0 {
		return nil
	}
	return err
}

// endpointOf makes a value of a Bind's endpoint. The zone of a link-local address becomes an index (ROAM-11).
func endpointOf(e conn.Endpoint) (to protocol.Endpoint, ok bool) {
	remote, err := netip.ParseAddrPort(e.DstToString())
	if err != nil {
		return to, false
	}
	a := remote.Addr()
	if zone := a.Zone(); zone != "" {
		if i, err := strconv.ParseUint(zone, 10, 32); err == nil {
			to.IfIndex = uint32(i)
		} else if it, err := net.InterfaceByName(zone); err == nil {
			to.IfIndex = uint32(it.Index)
		}
	}
	to.Remote = netip.AddrPortFrom(a.Unmap().WithZone(""), remote.Port())
	return to, true
}

// endpointCache bounds the endpoints that are kept in a Bind's form.
const endpointCache = 4096

// endpoint gives the Bind's form of a destination. It is made from text and never changed in place, so that nothing of
// one family can be left in the other's (design §11.8). The caller holds sendMu.
func (l *portable) endpoint(e protocol.Endpoint) (conn.Endpoint, error) {
	to := e.Remote
	if a := to.Addr(); a.IsLinkLocalUnicast() && a.Is6() && e.IfIndex != 0 {
		zone := strconv.FormatUint(uint64(e.IfIndex), 10)
		if it, err := net.InterfaceByIndex(int(e.IfIndex)); err == nil {
			zone = it.Name
		}
		to = netip.AddrPortFrom(a.WithZone(zone), to.Port())
	}
	if known, ok := l.cached[to]; ok {
		return known, nil
	}
	made, err := l.bind.ParseEndpoint(to.String())
	if err != nil {
		return nil, err
	}
	if len(l.cached) >= endpointCache {
		clear(l.cached)
	}
	l.cached[to] = made
	return made, nil
}

// Send sends datagrams in order. TOS and source address are not carried.
func (l *portable) Send(d []protocol.Datagram) error {
	l.sendMu.Lock()
	defer l.sendMu.Unlock()
	var errs []error
	for len(d) > 0 {
		n := 1
		for n < len(d) && n < l.bind.BatchSize() && d[n].Endpoint == d[0].Endpoint {
			n++
		}
		l.bufs = l.bufs[:0]
		for i := range n {
			l.bufs = append(l.bufs, d[i].Bytes())
		}
		to, err := l.endpoint(d[0].Endpoint)
		if err == nil {
			err = l.bind.Send(l.bufs, to)
		}
		if err != nil {
			errs = append(errs, err)
		}
		clear(l.bufs)
		d = d[n:]
	}
	return errors.Join(errs...)
}
