package sim

import "fmt"

func (v *validator) checkFlows() {
	for i := range v.sc.Flows {
		f := &v.sc.Flows[i]
		where := fmt.Sprintf("flow %d (%s)", i+1, flowName(f))
		from, to := v.host(where, f.From), v.host(where, f.To)
		if from == nil || to == nil {
			return
		}
		switch {
		case f.Kind >= NumFlowKinds:
			v.fail("%s: no such kind", where)
		case from == to:
			v.fail("%s: it goes nowhere", where)
		case !innerAddr(from, f.IPv6).IsValid() || !innerAddr(to, f.IPv6).IsValid():
			v.fail("%s: both hosts need an inner address of its family", where)
		case f.Source.IsValid() && (f.Source.Is6() != f.IPv6 || f.Source.Is4In6()):
			v.fail("%s: its source %s is of the other family", where, f.Source)
		case f.Source.IsValid() && f.Kind != FlowPing && f.Kind != FlowUDP:
			v.fail("%s: only ping and udp can have another source", where)
		case f.Start < 0 || f.Stop < 0:
			v.fail("%s: it cannot start or stop before the run", where)
		case f.Timeout < 0 || f.Tries < 0 || f.Playout < 0 || f.OutageFloor < 0 || f.Window < 0:
			v.fail("%s: timeout, tries, window, playout and outage floor cannot be negative", where)
		}
		v.flowPace(where, f)
		v.flowSize(where, f, from, to)
	}
}

// flowPace refuses flows that would never let time go on.
func (v *validator) flowPace(where string, f *Flow) {
	mayBeZero := f.Kind == FlowBulk || f.Kind == FlowVoice
	if f.Interval < smallestInterval && (f.Interval != 0 || !mayBeZero) {
		v.fail("%s: an interval of at least %s is needed", where, smallestInterval)
	}
	if f.Timeout > 0 && f.Timeout < smallestInterval {
		v.fail("%s: a timeout of at least %s is needed", where, smallestInterval)
	}
}

// maxInner leaves room for the outer headers in the 65,535 bytes of an IP packet, and maxWindow is what the option of
// RFC 7323 can say.
const (
	maxInner  = 65000
	maxWindow = 1 << 30
)

func (v *validator) flowSize(where string, f *Flow, from, to *Host) {
	least := smallestInner(f.IPv6)
	if f.Kind == FlowBulk {
		mtu := min(mtuOf(from), mtuOf(to))
		window := f.Window
		if window == 0 {
			window = defaultWindow
		}
		// Headers, options and a little data must fit, and two segments into the window (RFC 5681 wants that).
		if mtu < ip6Header+tcpHeader+tcpOverhead+64 {
			v.fail("%s: an MTU of %d is too small for TCP", where, mtu)
		} else if window < 2*mtu || window > maxWindow {
			v.fail("%s: its window must be from %d to %d", where, 2*mtu, maxWindow)
		} else if f.Congestion >= NumCongestions {
			v.fail("%s: no such congestion control", where)
		}
		return
	}
	if size := f.packet(); size < least || size > maxInner {
		v.fail("%s: its size must be from %d to %d", where, least, maxInner)
	}
	if f.Reply != 0 && (f.Reply < least || f.Reply > maxInner) {
		v.fail("%s: its reply must be from %d to %d bytes", where, least, maxInner)
	}
}

func mtuOf(h *Host) int {
	if h.MTU > 0 {
		return h.MTU
	}
	return defaultMTU
}
