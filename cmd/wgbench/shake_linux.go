package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/purewire/purewire/protocol"
)

// sourceAddress gives one of the addresses of end A that floods and handshakes come from. All of sourceNet is local
// there and routed to it by end B.
func sourceAddress(n int) netip.Addr { return netip.AddrFrom4([4]byte{198, 18, byte(n >> 8), byte(n)}) }

const (
	sourceNet     = "198.18.0.0/16" // set aside for benchmarks (RFC 2544)
	numSources    = 1000
	sourcePort    = 40000
	floodRate     = 50000 // initiations per second
	shakeWindow   = 64    // handshakes that wait for an answer: under what any implementation calls load
	shakePatience = 250 * time.Millisecond
)

// A sender sends from any of the source addresses through one socket.
type sender struct {
	conn *net.UDPConn
	to   netip.AddrPort
	oob  [numSources][]byte
}

func newSender(to netip.AddrPort) (*sender, error) {
	c, err := net.ListenUDP("udp4", &net.UDPAddr{Port: sourcePort})
	if err != nil {
		return nil, err
	}
	s := &sender{conn: c, to: to}
	for i := range s.oob {
		s.oob[i] = unix.PktInfo4(&unix.Inet4Pktinfo{Spec_dst: sourceAddress(i).As4()})
	}
	return s, setBuffer(c, unix.SO_RCVBUFFORCE, 8<<20)
}

func (s *sender) send(source int, message []byte) error {
	_, _, err := s.conn.WriteMsgUDPAddrPort(message, s.oob[source], s.to)
	if errors.Is(err, unix.ENOBUFS) {
		return nil // lost like any other
	}
	return err
}

// FloodArgs asks for a flood.
type FloodArgs struct {
	To        netip.AddrPort
	Responder protocol.PublicKey // mac1 is valid for it; the initiator is a stranger
	Length    time.Duration
}

// Flood sends initiations with a valid mac1 from many sources and tells how many. A stranger's messages cost the
// most that anybody can make a responder do without knowing a peer's key.
func (e *End) Flood(a FloodArgs, sent *int64) error {
	var private protocol.PrivateKey
	if _, err := rand.Read(private[:]); err != nil {
		return err
	}
	i, err := newInitiator(private, a.Responder, a.To, sourceAddress(0))
	if err != nil {
		return err
	}
	s, err := newSender(a.To)
	if err != nil {
		return err
	}
	defer s.conn.Close()
	var messages [numSources][]byte
	for n := range messages {
		if messages[n], err = i.initiate(); err != nil {
			return err
		}
	}
	return pace(floodRate, a.Length, func(n int64) error {
		*sent = n + 1
		k := int(n % numSources)
		return s.send(k, messages[k])
	})
}

// Initiators makes the private keys of so many peers and gives the public ones.
func (e *End) Initiators(count int, keys *[]protocol.PublicKey) error {
	e.privates = make([]protocol.PrivateKey, count)
	for i := range e.privates {
		if _, err := rand.Read(e.privates[i][:]); err != nil {
			return err
		}
		*keys = append(*keys, protocol.NewIdentity(e.privates[i]).PublicKey())
	}
	return nil
}

// ShakeArgs asks for handshakes of all Initiators.
type ShakeArgs struct {
	To        netip.AddrPort
	Responder protocol.PublicKey
	Each      int // initiations of each peer that are made ahead of time
}

// Prepared tells how the initiations were prepared.
type Prepared struct{ Cookies, Initiations int }

// A shaker sends initiations and matches what comes back.
type shaker struct {
	*sender
	initiators []*initiator
	waiting    map[uint32]time.Time // sender index of an initiation that was sent: until when
	owner      map[uint32]int       // the initiator
	buf        [2048]byte
}

// Prepare makes initiations ahead of time, so that the CPU is the daemon's when it counts. A responder that is under
// load wants a cookie in each of them, so it is first put under load to give out its cookies.
func (e *End) Prepare(a ShakeArgs, p *Prepared) error {
	s, err := newSender(a.To)
	if err != nil {
		return err
	}
	e.shaker = &shaker{sender: s, waiting: map[uint32]time.Time{}, owner: map[uint32]int{}}
	for n, private := range e.privates {
		i, err := newInitiator(private, a.Responder, a.To, sourceAddress(n%numSources))
		if err != nil {
			return err
		}
		e.shaker.initiators = append(e.shaker.initiators, i)
	}
	for range cookieRounds {
		if err := e.shaker.askForCookies(); err != nil {
			return err
		}
	}
	if err := stock(e.shaker.initiators, a.Each); err != nil {
		return err
	}
	for _, i := range e.shaker.initiators {
		p.Initiations += len(i.ready)
		if i.cookie {
			p.Cookies++
		}
	}
	return nil
}

// cookieRounds is how often everybody without a cookie asks for one. Those whom the first round brings none, since it
// is what makes the load, get theirs in the next ones.
const cookieRounds = 4

// askForCookies sends an initiation of everybody who has no cookie, in one burst, and takes the cookies that come back.
func (s *shaker) askForCookies() error {
	without := slices.DeleteFunc(slices.Clone(s.initiators), func(i *initiator) bool { return i.cookie })
	if err := stock(without, 1); err != nil {
		return err
	}
	for n, i := range s.initiators {
		if i.cookie {
			continue
		}
		m := i.ready[0]
		i.ready = i.ready[:0]
		if err := s.launch(n, m); err != nil {
			return err
		}
		if n%shakeWindow == 0 {
			if err := s.takeCookies(0); err != nil {
				return err
			}
		}
	}
	return s.takeCookies(shakePatience)
}

func (s *shaker) takeCookies(patience time.Duration) error {
	for until := time.Now().Add(patience); ; {
		message, index, ok, err := s.receive(until)
		if err != nil || !ok {
			return err
		}
		if n, known := s.owner[index]; known && message[0] == typeCookieReply {
			s.initiators[n].takeCookie(message, s.to)
		}
	}
}

// launch sends an initiation and remembers it.
func (s *shaker) launch(n int, message []byte) error {
	index := senderOf(message)
	s.owner[index] = n
	s.waiting[index] = time.Now().Add(shakePatience)
	return s.send(n%numSources, message)
}

// receive waits for an answer until then, or for none if that is past.
func (s *shaker) receive(until time.Time) (message []byte, index uint32, ok bool, err error) {
	// A deadline in the past would refuse even what has already arrived.
	if err := s.conn.SetReadDeadline(maxTime(until, time.Now().Add(50*time.Microsecond))); err != nil {
		return nil, 0, false, err
	}
	for {
		n, _, err := s.conn.ReadFromUDPAddrPort(s.buf[:])
		if ne, isNet := errors.AsType[net.Error](err); isNet && ne.Timeout() {
			return nil, 0, false, nil
		}
		if err != nil {
			return nil, 0, false, err
		}
		if index, ok := receiverOf(s.buf[:n]); ok {
			return s.buf[:n], index, true, nil
		}
	}
}

func maxTime(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// stock makes so many initiations of each initiator, on all cores.
func stock(initiators []*initiator, each int) error {
	workers := runtime.NumCPU()
	errs := make([]error, workers)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for n := w; n < len(initiators); n += workers {
				for range each {
					m, err := initiators[n].initiate()
					if err != nil {
						errs[w] = err
						return
					}
					initiators[n].ready = append(initiators[n].ready, m)
				}
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// Shaken is the outcome of Shake.
type Shaken struct {
	Sent, Answered, Cookies, Lost int
	Took                          time.Duration
}

// Shake sends what Prepare has made, round after round through all peers, always so many that shakeWindow of them
// wait for an answer, until all are sent or the time is up.
func (e *End) Shake(length time.Duration, r *Shaken) error {
	s := e.shaker
	if s == nil {
		return errors.New("nothing was prepared")
	}
	defer func() { s.conn.Close(); e.shaker = nil }()
	clear(s.waiting)
	begin := time.Now()
	last := begin
	var order []uint32 // of those that wait, the oldest first
	for next := 0; time.Since(begin) < length; {
		for ; len(s.waiting) < shakeWindow && next < len(s.initiators)*len(s.initiators[0].ready); next++ {
			n := next % len(s.initiators)
			m := s.initiators[n].ready[next/len(s.initiators)]
			if err := s.launch(n, m); err != nil {
				return err
			}
			order = append(order, senderOf(m))
			r.Sent++
		}
		if len(s.waiting) == 0 {
			break
		}
		message, index, ok, err := s.receive(time.Now().Add(10 * time.Millisecond))
		if err != nil {
			return err
		}
		if _, mine := s.waiting[index]; ok && mine {
			delete(s.waiting, index)
			last = time.Now()
			if message[0] == typeResponse {
				r.Answered++
			} else {
				r.Cookies++
			}
		}
		order = s.expire(order, r)
	}
	r.Took = last.Sub(begin)
	if r.Answered == 0 {
		return fmt.Errorf("no handshake was answered: %+v", *r)
	}
	return nil
}

// expire gives up what has waited too long, and forgets what was answered.
func (s *shaker) expire(order []uint32, r *Shaken) []uint32 {
	for len(order) > 0 {
		until, waits := s.waiting[order[0]]
		if waits && time.Now().Before(until) {
			break
		}
		if waits {
			delete(s.waiting, order[0])
			r.Lost++
		}
		order = order[1:]
	}
	return order
}
