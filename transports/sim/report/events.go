package report

import (
	"encoding/json"
	"io"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/transports/sim"
)

// Events writes every record of a run as a line of JSON, datagrams and inner packets included; see the package
// documentation for the fields. It is an observer: give Observe all records, then call Finish. Lines are written as
// they come, so that a long run needs no memory.
type Events struct{ j JSON }

// NewEvents gives an observer that writes to w.
func NewEvents(w io.Writer) *Events {
	e := &Events{j: JSON{w: w}}
	e.j.enc = json.NewEncoder(&e.j.buf)
	e.j.enc.SetEscapeHTML(false)
	return e
}

// Observe takes the next record. Those that hold keys are left out.
func (l *Events) Observe(r *sim.Record) {
	if r.Kind == sim.KindStart {
		l.j.start = r.At
	}
	if r.Kind == sim.KindKeyLog || r.Kind == sim.KindCore && r.Event.Kind == protocol.EventSecrets {
		return
	}
	e, told := l.j.event(r)
	switch r.Kind {
	case sim.KindDatagram:
		fate(&e, r)
		e.Fate = ""
		e.Message, _ = message(r.Data)
	case sim.KindFate:
		fate(&e, r)
		e.Message, _ = message(r.Data)
	case sim.KindInnerSent, sim.KindInnerForwarded, sim.KindInnerDelivered:
		e.Inner, e.Datagram = inner(&r.Inner), r.Datagram
		e.Delay = int64(r.Inner.Delay)
	default:
		if !told {
			return
		}
	}
	l.j.write(append(l.j.encode(e), '\n'))
}

// Finish gives the first error of all writing.
func (l *Events) Finish() error { return l.j.err }
