package conformance

import (
	"fmt"
	"time"

	"github.com/purewire/purewire/timers"
)

// Soon is the window for what is due at once after the latest stimulus.
func (t *T) Soon() Window { return t.Due(Prompt, t.last) }

// Due is the window, counted from ref, in which a quantity of rules.md §0.4 is due on this kind of target.
func (t *T) Due(q Quantity, ref Stamp) Window {
	return t.due(q, ref, t.Caps.tolerance(q).Nominal)
}

// DuePersistent is Due(Persistent) for an interval of n seconds.
func (t *T) DuePersistent(n int, ref Stamp) Window {
	return t.due(Persistent, ref, time.Duration(n)*time.Second)
}

func (t *T) due(q Quantity, ref Stamp, nominal time.Duration) Window {
	tol := t.Caps.tolerance(q)
	w := Window{From: ref, Min: nominal - tol.Early, Max: nominal + tol.Jitter + tol.Late, What: q}
	if tol.Eighth {
		w.Max += nominal / 8
	}
	if q == Prompt {
		w.Min = 0
	}
	return w
}

// Between is the window from min to max after ref, widened at its end by what the way to the target takes.
func (t *T) Between(ref Stamp, min, max time.Duration) Window {
	return Window{From: ref, Min: min, Max: max + t.Caps.tolerance(Prompt).Late}
}

// Slack is how far before and after the nominal moment of an age check (120, 165, 180 s …) a case stays away from it:
// at least 10 ms, more on targets whose clock is coarse.
func (t *T) Slack() time.Duration {
	return max(10*time.Millisecond, 2*t.Caps.tolerance(AgeCheck).Late)
}

// Expect waits for the first output that matches and was not taken yet, and takes it. It fails if there is none by
// the end of the window or if it came too early or too late: that is so if all that is known of both times says so.
func (t *T) Expect(m Match, w Window) *Got {
	band := t.band(m, w)
	g := t.await(m, w)
	if g == nil {
		t.unsure(w, t.Now(), t.Now().Sub(w.From.Latest.Add(w.Max)), "none came")
		t.fail(nil, m.Name+" "+w.String(), "none in "+seconds(t.Now().Sub(w.From.Latest)))
	}
	g.used = true
	least, most := g.At.Sub(w.From)
	switch w.place(g.At) {
	case -1:
		t.fail(g, m.Name+" "+w.String(), "one after "+span(least, most)+": too early")
	case 1:
		t.unsure(w, g.At.Latest, least-w.Max, "it came after "+span(least, most))
		t.fail(g, m.Name+" "+w.String(), "one after "+span(least, most)+": too late")
	}
	if w.blurred(g.At) {
		t.Inconclusive(fmt.Sprintf("%s came after %s, too uncertain for %s", m.Name, span(least, most), w))
	}
	t.trace[band].Text += ": after " + span(least, most)
	return g
}

// await looks for a match until somewhat after the end of the window, so that a late one can be told from none. If the
// machine stood still it looks for longer, so that there is a verdict on what does not come at all.
func (t *T) await(m Match, w Window) *Got {
	due := w.From.Latest.Add(w.Max)
	end := due.Add(max(w.Max/4, time.Second))
	for {
		t.process()
		if g := t.Peek(m); g != nil {
			return g
		}
		if t.Now() >= end {
			longest := min(several*t.world.stalled(w.From.Earliest, t.Now()), patience)
			if t.Now() >= due.Add(longest) {
				return nil
			}
			end = due.Add(longest)
		}
		t.step(end)
	}
}

// several standstills of the machine, each as long as the longest that was seen, may be why something comes late.
const (
	several  = 10
	patience = 5 * time.Second
)

// unsure gives up on a bound that was missed by some time if the machine stood still in the window, for so long that
// it may be why.
func (t *T) unsure(w Window, until timers.Time, missed time.Duration, actual string) {
	const most = 50 * time.Millisecond
	if d := t.world.stalled(w.From.Earliest, until); d > most && missed < several*d {
		t.Inconclusive(fmt.Sprintf("the machine stood still for %v while this was due: %s %s; %s",
			d.Round(time.Millisecond), w.What, w, actual))
	}
}

func (t *T) band(m Match, w Window) int {
	return t.record(TraceEntry{Kind: "window", Text: m.Name + " " + w.String(), Until: w.From.Latest.Add(w.Max)},
		Stamp{w.From.Earliest.Add(w.Min), w.From.Latest.Add(w.Min)})
}

// Peek gives the first output so far that matches and was not taken, or nil, and leaves it where it is.
func (t *T) Peek(m Match) *Got {
	t.process()
	for _, g := range t.inbox {
		if !g.used && m.Is(g) {
			return g
		}
	}
	return nil
}

// Take gives and takes all outputs so far that match and were not taken.
func (t *T) Take(m Match) (all []*Got) {
	t.process()
	for _, g := range t.inbox {
		if !g.used && m.Is(g) {
			g.used = true
			all = append(all, g)
		}
	}
	return all
}

// Gather lets d pass and then gives all outputs that match.
func (t *T) Gather(m Match, d time.Duration) []*Got {
	t.Wait(d)
	return t.Take(m)
}

// Silence waits for d and fails as soon as there is an output that matches and was not taken, whenever it came. Then
// it shows with Alive that the subject was able to speak. Take or Forget what is none of the question before.
func (t *T) Silence(m Match, d time.Duration) {
	t.quiet(m, d)
	t.Premise(t.Alive)
}

// SilenceStill is Silence without the probe, for cases that go on to something that proves as much.
func (t *T) SilenceStill(m Match, d time.Duration) { t.quiet(m, d) }

func (t *T) quiet(m Match, d time.Duration) {
	from := t.Now()
	end := from.Add(d)
	t.record(TraceEntry{Kind: "window", Text: "no " + m.Name + " for " + seconds(d), Until: end}, At(from))
	for {
		if g := t.Peek(m); g != nil {
			t.fail(g, fmt.Sprintf("no %s for %s", m.Name, seconds(d)), g.String()+" at "+g.At.String())
		}
		if t.Now() >= end {
			return
		}
		t.step(end)
	}
}

// Never runs the case's own question the other way round: it fails at once if an output matches now.
func (t *T) Never(m Match, expected string) {
	if g := t.Peek(m); g != nil {
		t.fail(g, expected, g.String()+" at "+g.At.String())
	}
}

// Alive shows that the subject works: a peer that takes part in nothing else shakes hands with it, if it has not done
// so lately, and gets a packet through it.
func (t *T) Alive() {
	if t.probe == nil {
		t.probe = t.peer(PeerOptions{Name: "probe"})
	}
	p := t.probe
	s := p.Session()
	if s == nil || t.Now().Sub(s.Made.Earliest) > 100*time.Second {
		s = p.Connect()
	}
	if g := t.Caps.Given; g == nil && t.Caps.Has&NeedInner == 0 || g != nil && !g.echoes() {
		return
	}
	packet := p.Inbound()
	s.Send(packet)
	t.Expect(Delivery.Carrying(packet), t.Soon())
}
