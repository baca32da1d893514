package udp

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"

	"github.com/purewire/purewire/transports"
)

// Link is a pair of UDP sockets. It is a [transports.Link] with two sources: 0 is IPv4, 1 is IPv6.
type Link struct {
	options   Options
	current   [2]atomic.Pointer[socket] // what Send uses
	noSegment atomic.Bool               // the kernel could not segment for want of checksum offload (EIO)
	readers   [2]reader

	mu     sync.Mutex // guards what follows, and changes of current
	closed bool
	port   uint16
	mark   uint32
	old    pair          // retired sockets that may still hold datagrams
	change chan struct{} // closed, and replaced, when the sockets change: readers without a socket wait for it
}

var _ transports.Link = (*Link)(nil)

// New makes a Link that is not open: Receive waits for Open, Send fails.
func New(o Options) *Link {
	l := &Link{options: o, change: make(chan struct{})}
	for i := range l.readers {
		l.readers[i].init()
	}
	return l
}

// Open listens on port in both families, or in the one that the host has; 0 is any port. On a Link that is open it
// moves to the other port, and what has arrived on the old one is still received. The error of a port that is taken
// is syscall.EADDRINUSE, wrapped; any error leaves the Link as it was.
func (l *Link) Open(port uint16) (actual uint16, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return 0, net.ErrClosed
	}
	if port != 0 && port == l.port {
		return port, nil
	}
	// Sockets of the move before this one have had their time, and their port may be the one that is wanted.
	l.old.each((*socket).close)
	l.old = pair{}
	fresh, actual, err := openPair(port, l.mark, l.options)
	if err != nil {
		return 0, err
	}
	l.port = actual
	for i := range fresh {
		l.old[i] = l.current[i].Swap(fresh[i])
	}
	l.old.each((*socket).retire)
	l.wake()
	return actual, nil
}

// wake tells readers that the sockets are others now.
func (l *Link) wake() {
	close(l.change)
	l.change = make(chan struct{})
}

// Shut closes the sockets until the next Open. What has arrived and was not received is lost.
func (l *Link) Shut() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.shut()
	return nil
}

func (l *Link) shut() {
	l.old.each((*socket).close)
	l.old, l.port = pair{}, 0
	for i := range l.current {
		if s := l.current[i].Swap(nil); s != nil {
			s.close()
		}
	}
}

// Close ends Receive and Send for good.
func (l *Link) Close() error {
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
func (l *Link) Sources() int { return len(l.readers) }

// SetMark sets the mark (SO_MARK, QOS-05) of these sockets and of those of later Opens; 0 is none. It needs
// CAP_NET_ADMIN.
func (l *Link) SetMark(mark uint32) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var errs []error
	for i := range l.current {
		if s := l.current[i].Load(); s != nil {
			errs = append(errs, s.setMark(mark))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	l.mark = mark
	return nil
}

// source gives the socket to read from, a retired one first. If there is none, change says when to look again.
func (l *Link) source(i int) (s *socket, change <-chan struct{}, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, nil, net.ErrClosed
	}
	if s = l.old[i]; s == nil {
		s = l.current[i].Load()
	}
	return s, l.change, nil
}

// drained closes a retired socket that holds nothing any more.
func (l *Link) drained(i int, s *socket) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s.close()
	if l.old[i] == s {
		l.old[i] = nil
	}
}

// Receive blocks until source has a datagram, then takes what is there, up to a batch. Each datagram carries its
// source, the local address and interface it came in on, and its TOS; so do those that arrived coalesced.
func (l *Link) Receive(source int, d *transports.Datagrams) error {
	r := &l.readers[source]
	d.List = d.List[:0]
	if r.unspill(d) {
		return nil
	}
	for {
		s, change, err := l.source(source)
		if err != nil {
			return err
		}
		if s == nil {
			<-change
			continue
		}
		if s.retired.Load() {
			if r.drain(s, d) {
				return nil
			}
			l.drained(source, s)
			continue
		}
		err = r.read(s, d)
		switch {
		case len(d.List) > 0:
			return nil
		case s.retired.Load(), s.closed.Load():
			continue // the next look tells
		case err != nil:
			return err
		}
	}
}
