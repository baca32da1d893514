package explain

import (
	"fmt"
	"slices"
)

// Options are what is known besides the captures.
type Options struct {
	Configs []Config
	KeyLogs []Config // name and text of key logs as Wireshark takes them
}

// analysis is the work on one set of captures.
type analysis struct {
	*collector
	ring       *keyring
	tunnels    []*tunnel
	strays     []*message
	start, end int64
	findings   []Finding
	deviations []Deviation
	notes      []string
}

// Explain reads the captures and says what happened in them. An error names the file and place of what cannot be
// read; a capture without WireGuard is none.
func Explain(sources []Source, o Options) (*Report, error) {
	ring := newKeyring()
	for _, c := range o.Configs {
		parsed, err := readConf(c)
		if err != nil {
			return nil, err
		}
		ring.addConf(parsed)
	}
	for _, l := range o.KeyLogs {
		if err := ring.addLog(l.Name, []byte(l.Text)); err != nil {
			return nil, err
		}
	}
	col := &collector{flows: map[flowKey]*flowSigns{}, keepData: true}
	for i, s := range sources {
		if err := col.read(i+1, s, col.frame); err != nil {
			return nil, err
		}
	}
	if err := ring.addLog("secrets of the capture", col.secrets); err != nil {
		return nil, err
	}
	a := &analysis{collector: col, ring: ring}
	list := col.unite()
	clocks := col.compareClocks(list)
	col.order(list)
	a.track(list)
	for _, t := range a.tunnels {
		t.inferCauses()
		a.checkMac2(t)
		a.diagnose(t)
		a.deviate(t)
	}
	a.diagnoseConfigs()
	a.noteCapture(len(list))
	return a.report(sources, clocks), nil
}

// track builds the tunnels.
func (a *analysis) track(list []*message) {
	k := &tracker{ring: a.ring, taps: len(a.taps), index: map[uint32][]owner{}}
	for _, m := range list {
		k.add(m)
	}
	k.adopt()
	a.tunnels, a.strays = k.tunnels, k.strays
	for _, t := range a.tunnels {
		for _, x := range t.exchanges {
			for i := range x.flow {
				// The session's start was seen, so counters begin at 0 (MSG-14).
				if f := &x.flow[i]; x.resp != nil && f.count > 0 {
					f.gapBefore = f.low
				}
			}
		}
	}
	if len(list) > 0 {
		a.start, a.end = list[0].at, list[len(list)-1].at
	}
}

// rel is a time as the report gives it.
func (a *analysis) rel(at int64) int64 { return at - a.start }

// when prints a time of the report.
func (a *analysis) when(at int64) string { return clockTime(at - a.start) }

func clockTime(ns int64) string {
	sign := ""
	if ns < 0 {
		sign, ns = "-", -ns
	}
	return fmt.Sprintf("%s%d.%03d s", sign, ns/1e9, ns/1e6%1000)
}

// noteCapture says what about the capture itself limits the answers.
func (a *analysis) noteCapture(messages int) {
	note := func(format string, args ...any) { a.notes = append(a.notes, fmt.Sprintf(format, args...)) }
	if messages == 0 {
		note("no WireGuard message was found in %d packets", a.frames)
	}
	if a.linkless > 0 {
		note("%d packets are of a link type that is not understood here", a.linkless)
	}
	if a.cut > 0 {
		note("%d packets were cut by the capture: what was cut off cannot be checked or decrypted", a.cut)
	}
	if a.super > 0 {
		note("%d packets are segmentation super-frames of several messages, the first is %s; the messages were taken apart",
			a.super, a.packet(a.firstSuper))
	}
	for _, t := range a.tunnels {
		for _, m := range t.messages[:1] {
			if m.kind == transport {
				note("tunnel %d was under way when the capture began: the ages and causes of what came before are not known", t.id)
			}
		}
		for _, x := range t.exchanges {
			if x.assumed {
				note("tunnel %d: that the two directions of session #%d belong together is assumed: its handshake was not seen",
					t.id, x.id)
			}
		}
	}
	if len(a.strays) > 0 {
		note("%d datagrams between these ends are no WireGuard messages and could not be given to a tunnel", len(a.strays))
	}
}

// packet prints a reference.
func (a *analysis) packet(r Ref) string {
	if a.files() > 1 {
		return fmt.Sprintf("%d:%d", r.File, r.Packet)
	}
	return fmt.Sprintf("%d", r.Packet)
}

func (a *analysis) files() (n int) {
	for i := range a.taps {
		n = max(n, a.taps[i].file)
	}
	return n
}

// depth is what could be told of a tunnel.
func (a *analysis) depth(t *tunnel) Depth {
	d := DepthNoKeys
	for _, m := range t.messages {
		if m.open == genuine && m.kind != cookieReply {
			return DepthFull
		}
		if m.ident.mac1 == genuine {
			d = DepthConfig
		}
	}
	return d
}

// find adds a finding; packets are given once each and not more than a reader looks at.
func (a *analysis) find(t *tunnel, f Finding, packets ...*message) {
	if t != nil {
		f.Tunnel = t.id
	}
	f.From, f.To = a.rel(f.From), a.rel(f.To)
	for _, m := range packets {
		if m != nil && !slices.Contains(f.Packets, m.ref()) {
			f.Packets = append(f.Packets, m.ref())
		}
	}
	const most = 12
	if n := len(f.Packets); n > most {
		f.Packets = append(f.Packets[:most-1:most-1], f.Packets[n-1])
	}
	a.findings = append(a.findings, f)
}

// side names an end of a tunnel.
func (t *tunnel) side(i int) string {
	if n := t.ends[i].name; n != "" {
		return n
	}
	return t.ends[i].first.String()
}

// places are where the taps that saw the tunnel are.
func (a *analysis) places(t *tunnel) (all []place) {
	for i := range a.taps {
		seen := false
		for _, m := range t.messages {
			if m.sightingAt(i) != nil {
				seen = true
				break
			}
		}
		if seen {
			all = append(all, t.placeOf(i))
		}
	}
	return all
}
