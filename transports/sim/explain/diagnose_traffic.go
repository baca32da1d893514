package explain

import (
	"fmt"
	"slices"
)

// crossings tells of initiations of both sides that met on the way.
func (a *analysis) crossings(t *tunnel) {
	for i, x := range t.exchanges {
		if x.init == nil {
			continue
		}
		for _, y := range t.exchanges[i+1:] {
			if y.init == nil || y.from == x.from || y.init.at-x.init.at > retryAfter {
				continue
			}
			if x.resp != nil && x.resp.at <= y.init.at {
				continue
			}
			first, second := t.side(x.from), t.side(y.from)
			f := Finding{Kind: "crossing", Certainty: Certain, From: x.init.at, To: max(x.end(), y.end()), weight: 55}
			f.Title = "both sides began a handshake at the same time"
			f.Text = fmt.Sprintf("The initiations of %s and %s crossed.", first, second)
			if x.confirmation() == nil && y.confirmation() == nil {
				f.weight = 75
				f.Text += " Neither led to a session: each side gave up its own when it answered the other's (HS-12), and has to " +
					"try again 5 s later (HS-13, OPEN-4)."
			} else {
				f.Text += " One of them led to a session; no harm was done (HS-13)."
			}
			a.find(t, f, x.init, y.init, x.resp, y.resp)
		}
	}
}

// storm tells of handshakes that are done over and over.
func (a *analysis) storm(t *tunnel) {
	const window, many = 60 * second, 6
	var done []*exchange
	for _, x := range t.exchanges {
		if x.init != nil && x.resp != nil {
			done = append(done, x)
		}
	}
	for i := 0; i+many <= len(done); i++ {
		last := i
		for last+1 < len(done) && done[last+1].init.at-done[i].init.at <= window {
			last++
		}
		n := last - i + 1
		confirmed := 0
		for _, x := range done[i : last+1] {
			if x.confirmation() != nil {
				confirmed++
			}
		}
		if n < many || confirmed*2 < n {
			continue
		}
		f := Finding{Kind: "handshake-storm", Certainty: Certain, From: done[i].init.at, To: done[last].end(), weight: 82}
		f.Title = fmt.Sprintf("handshake storm: %d handshakes in %s, where one per 120 s is due", n,
			seconds(done[last].init.at-done[i].init.at))
		f.Text = fmt.Sprintf("%d of them were completed, and yet the next followed.", confirmed)
		f.Or = []string{"two machines use the same key, each takes the tunnel from the other",
			"one side is restarted or reconfigured again and again", "messages on the new sessions do not arrive"}
		var packets []*message
		for _, x := range done[i : last+1] {
			packets = append(packets, x.init)
		}
		a.find(t, f, packets...)
		return
	}
}

// gaveUp tells of an attempt that ran its full time.
func (a *analysis) gaveUp(t *tunnel) {
	for _, p := range t.attempts() {
		last := p.list[len(p.list)-1].init.at
		pause := a.end - last
		if p.next != nil {
			pause = p.next.init.at - last
		}
		if len(p.list) < 15 || last-p.from() < attemptPhase-5*second || pause <= retryLatest {
			continue
		}
		who := t.side(p.side)
		f := Finding{Kind: "gave-up", Certainty: Certain, From: p.from(), To: last, weight: 40}
		f.Title = fmt.Sprintf("%s gave up after %d initiations in %s", who, len(p.list), seconds(last-p.from()))
		f.Text = "It tries again only when there is something new to send; what was queued is lost (TIMER-03, TIMER-04)."
		a.find(t, f, p.list[0].init, p.list[len(p.list)-1].init)
	}
}

// oneWay tells of a side that hears and has nothing to say.
func (a *analysis) oneWay(t *tunnel) {
	var data, alive [2]int
	var first, last, mark [2]*message
	for _, m := range t.messages {
		if m.kind != transport || m.copyOf != nil {
			continue
		}
		if m.carries() {
			data[m.from]++
			if first[m.from] == nil {
				first[m.from] = m
			}
			last[m.from] = m
		} else {
			alive[m.from]++
			mark[m.from] = m
		}
	}
	for from := range 2 {
		to := 1 - from
		if data[from] < 5 || data[to] > 0 || alive[to] == 0 || last[from].at-first[from].at < keepaliveTime {
			continue
		}
		f := Finding{Kind: "one-way-data", Certainty: Certain, From: first[from].at, To: last[from].at, weight: 78}
		f.Title = fmt.Sprintf("data in one direction only: %s sends, %s has nothing to send back", t.side(from), t.side(to))
		f.Text = fmt.Sprintf("%d data messages went from %s, none from %s, whose %d keepalives show that it receives and "+
			"decrypts "+
			"them (TIMER-12). The tunnel works; what is behind it does not answer.", data[from], t.side(from), t.side(to),
			alive[to])
		f.Or = []string{"the inner firewall or the application at " + t.side(to) + " does not answer",
			"AllowedIPs at " + t.side(to) + " does not have the inner source, so it drops what it decrypted (ROUTE-02)",
			"the way back is routed elsewhere at " + t.side(to), "the application only sends one way"}
		a.find(t, f, first[from], mark[to], last[from])
	}
}

// windows tells of what came too late for the replay window, and of copies.
func (a *analysis) windows(t *tunnel) {
	for _, x := range t.exchanges {
		for side := range x.flow {
			f := &x.flow[side]
			if n := len(f.tooLate); n > 0 {
				g := Finding{Kind: "replay-window", Certainty: Likely, From: f.tooLate[0].at, To: f.tooLate[n-1].at, weight: 76}
				g.Title = fmt.Sprintf("replay window: %d messages of %s came too late to be accepted", n, t.side(side))
				g.Text = fmt.Sprintf("Session #%d: more than %d messages with greater counters had gone by before them "+
					"(REPLAY-04); "+
					"Linux and wireguard-go drop such messages.", x.id, windowSize)
				g.Or = []string{"the receiver has a larger window", "the capture itself is out of order"}
				g.Advice = "Something on the way delays part of the messages far more than others: several queues, or several " +
					"paths."
				a.find(t, g, f.tooLate...)
			}
			if n := len(f.copies); n >= 3 {
				g := Finding{Kind: "copies", Certainty: Certain, From: f.copies[0].at, To: f.copies[n-1].at, weight: 30}
				g.Title = fmt.Sprintf("%d messages of %s came twice", n, t.side(side))
				g.Text = fmt.Sprintf("Session #%d. The receiver drops the copies (REPLAY-01).", x.id)
				g.Or = []string{"the network makes copies", "somebody replays them", "the capture sees packets twice"}
				a.find(t, g, f.copies...)
			}
			if n := len(f.bad); n > 0 {
				g := Finding{Kind: "damaged", Certainty: Certain, From: f.bad[0].at, To: f.bad[n-1].at, weight: 65}
				g.Title = fmt.Sprintf("%d messages of %s do not decrypt", n, t.side(side))
				g.Text = fmt.Sprintf("Session #%d: its keys are known and other messages decrypt.", x.id)
				g.Or = []string{"they were damaged on the way", "they are forged"}
				a.find(t, g, f.bad...)
			}
		}
	}
}

// losses sums up what is missing outside of outages.
func (a *analysis) losses(t *tunnel, between []lossRun) {
	for side := range 2 {
		var sent, missing uint64
		var packets []*message
		for _, x := range t.exchanges {
			f := &x.flow[side]
			sent += uint64(f.count)
			for i := range f.gaps {
				g := &f.gaps[i]
				told := slices.ContainsFunc(a.findings, func(w Finding) bool {
					return w.Tunnel == t.id && w.weight >= 84 && w.From <= a.rel(g.after.at) && w.To >= a.rel(g.before.at)
				})
				if g.missing > 0 && !told && !a.covered(g.before.at, g.after.at, between) {
					missing += g.missing
					packets = append(packets, g.after)
				}
			}
		}
		if sent+missing < 50 || missing*50 < sent+missing {
			continue
		}
		f := Finding{Kind: "loss", Certainty: Certain, From: packets[0].at, To: packets[len(packets)-1].at, weight: 45}
		f.Title = fmt.Sprintf("%d of %d messages of %s are missing (%s)", missing, sent+missing, t.side(side),
			percent(missing, sent+missing))
		f.Text = "Its counters skip them, so they were sent and lost before the capture."
		f.Or = []string{"the capture dropped packets"}
		a.find(t, f, packets...)
	}
}

func percent(part, whole uint64) string {
	tenths := part * 1000 / whole
	return fmt.Sprintf("%d.%d %%", tenths/10, tenths%10)
}
