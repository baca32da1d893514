package remote

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/purewire/purewire/protocol/conformance"
	"github.com/purewire/purewire/protocol/conformance/peer"
)

// An examination finds out before the run whether the target file is right: a wrong key or a firewall would otherwise
// look like hundreds of broken rules.
type examination struct {
	f    *Factory
	s    *Subject
	here netip.AddrPort
}

const (
	answerTime = time.Second
	tries      = 3
	samples    = 8 // of the way there and back, at least
	// apart is between two handshakes of one peer: the 20 ms of the flood rule (HS-28), with a coarse clock.
	apart = 300 * time.Millisecond
)

var errNoAnswer = errors.New("no answer")

func newExamination(f *Factory) (*examination, error) {
	s, err := newSubject(f)
	if err != nil {
		return nil, err
	}
	here, err := s.Open(f.outer(false).Addr().Is6())
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return &examination{f, s, here}, nil
}

func (e *examination) close() { _ = e.s.Close() }

// examine shakes hands with every peer of the file, and asks the echo.
func (f *Factory) examine() error {
	e, err := newExamination(f)
	if err != nil {
		return err
	}
	defer e.close()
	var deaf []string
	var first *peer.Session
	least, most := time.Hour, time.Duration(0)
	n := len(f.device.given.Peers)
	for i := range max(n, samples) {
		session, took, err := e.retry(i % n)
		switch {
		case errors.Is(err, errNoAnswer):
			if i < n {
				deaf = append(deaf, fmt.Sprintf("peers[%d]", i))
			}
			if i+1 == min(n, 2) && len(deaf) == i+1 {
				return fmt.Errorf("the device does not answer handshakes at %v, from %v: is it up, is this its public key and "+
					"does it know the peers of the file? (not answered: %s)", e.device(), e.here, strings.Join(deaf, ", "))
			}
		case err != nil:
			return err
		default:
			if i%n == 0 {
				first = session
			}
			least, most = min(least, took), max(most, took)
		}
		if n < samples {
			time.Sleep(apart / time.Duration(n))
		}
	}
	if len(deaf) > 0 {
		return fmt.Errorf("the device answers handshakes, but none of %s: are their keys, preshared keys and allowed IPs "+
			"configured there as in the file?", strings.Join(deaf, ", "))
	}
	f.capabilities.RTT, f.jitter = most, most-least
	err = e.echoes(first)
	time.Sleep(apart) // the first cases shake hands with the same keys
	return err
}

func (e *examination) device() netip.AddrPort { return e.f.outer(e.here.Addr().Is6()) }

// retry shakes hands until there is an answer.
func (e *examination) retry(i int) (s *peer.Session, took time.Duration, err error) {
	for range tries {
		begun := time.Now()
		if s, err = e.shake(i); err == nil {
			return s, time.Since(begun), nil
		}
		if !errors.Is(err, errNoAnswer) {
			return nil, 0, err
		}
	}
	return nil, 0, err
}

// shake initiates a handshake with a peer's key, and confirms it.
func (e *examination) shake(i int) (*peer.Session, error) {
	o := &e.f.device.given.Peers[i]
	party := peer.Party{Static: peer.PairOf(o.Private), Remote: e.f.device.given.PublicKey, PSK: o.PresharedKey,
		Random: rand.Reader}
	began, err := party.Initiate(peer.TAI64N(time.Now()), peer.Spec{})
	if err != nil {
		return nil, err
	}
	e.send(began.Bytes)
	var s *peer.Session
	err = e.await(func(b []byte) bool {
		s, err = began.Complete(b)
		return err == nil
	})
	if err == nil {
		e.send(s.Seal(nil))
	}
	return s, err
}

func (e *examination) send(b []byte) {
	e.s.Input(e.s.Now(), []conformance.Datagram{{Local: e.device(), Remote: e.here, Bytes: b}})
}

// await waits for a datagram.
func (e *examination) await(is func([]byte) bool) error {
	var o conformance.Output
	for until := e.s.Now().Add(answerTime); e.s.Now() < until; {
		e.s.Advance(until)
		e.s.Take(&o)
		for _, d := range o.Datagrams {
			if is(d.Bytes) {
				return nil
			}
		}
		if err := e.f.ctx.Err(); err != nil {
			return err
		}
	}
	return errNoAnswer
}

// echoes asks each echo on the session of the first peer.
func (e *examination) echoes(s *peer.Session) error {
	g := &e.f.device.given
	text := []byte("wgconform: is there an echo?    ")
	for _, to := range g.EchoUDP {
		from := netip.AddrPortFrom(inner(&g.Peers[0], to.Addr().Is6()), 4000)
		request, answer := conformance.UDP(from, to, text), conformance.UDP(to, from, text)
		if err := e.echo(s, request, answer, "trigger.echo-udp: "+to.String()); err != nil {
			return err
		}
	}
	for _, to := range g.EchoPing {
		from := inner(&g.Peers[0], to.Is6())
		request, answer := conformance.Echo(from, to, 1, 1, text), conformance.EchoReply(to, from, 1, 1, text)
		if err := e.echo(s, request, answer, "trigger.ping: "+to.String()); err != nil {
			return err
		}
	}
	return nil
}

func (e *examination) echo(s *peer.Session, request, answer []byte, what string) error {
	want := payload(answer)
	for range tries {
		e.send(s.Seal(append(request[:len(request):len(request)], make([]byte, -len(request)&15)...)))
		err := e.await(func(b []byte) bool {
			plain, err := s.Open(b)
			return err == nil && conformance.Source(plain) == conformance.Source(answer) &&
				bytes.HasPrefix(payload(plain), want)
		})
		switch {
		case err == nil:
			e.send(s.Seal(nil)) // the device is owed no answer
			return nil
		case !errors.Is(err, errNoAnswer):
			return err
		}
	}
	return fmt.Errorf("%s does not answer %v through the tunnel: does a firewall of the device forbid it, or is nothing "+
		"there?", what, conformance.Source(request))
}

// payload is what follows the header of an inner packet: that is the host's own.
func payload(b []byte) []byte {
	header := 40
	if len(b) > 0 && b[0]>>4 == 4 {
		header = int(b[0]&15) * 4
	}
	return b[min(header, len(b)):]
}
