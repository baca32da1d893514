package sim

import "time"

// voice is what the hearer of a call notices.
type voice struct {
	any      bool
	quickest time.Duration // delay
	late     uint64
}

// playout is the time that a receiver keeps frames back so that slow ones are there in time.
const playout = 60 * time.Millisecond

func (f *Flow) playout() time.Duration {
	if f.Playout > 0 {
		return f.Playout
	}
	return playout
}

func (v *voice) heard(delay time.Duration, cfg *Flow) {
	if !v.any || delay < v.quickest {
		v.any, v.quickest = true, delay
	}
	if delay > v.quickest+cfg.playout() {
		v.late++
	}
}

func (v *voice) result(w *WayResult, cfg *Flow) VoiceResult {
	if !v.any {
		return VoiceResult{}
	}
	missing := w.Lost() + v.late
	mouthToEar := v.quickest + cfg.playout() + voiceFrame // a frame is complete when its last word is spoken
	return VoiceResult{Late: v.late, MOS: opinion(missing, w.Sent, mouthToEar)}
}

// opinion is the mean opinion score in hundredths by the E-model of ITU-T G.107 with its default values, for G.711 with
// packet loss concealment (G.113: Ie 0, Bpl 25.1) and random loss. All in hundredths:
//
//	R   = 93.2 − Id − Ie,eff
//	Id  = 0.024·d + 0.11·(d − 177.3) where that is positive, d in ms (the common fit of G.107's Idd)
//	Ie  = 95·P/(P + 25.1), P in percent
//	MOS = 1 + 0.035·R + R·(R − 60)·(100 − R)·7·10⁻⁶
func opinion(missing, sent uint64, delay time.Duration) int {
	loss := int64(missing * 10_000 / max(sent, 1))
	tenths := delay.Microseconds() / 100 // of a millisecond
	impaired := tenths * 24 / 100
	if tenths > 1773 {
		impaired += (tenths - 1773) * 11 / 10
	}
	r := min(max(9320-impaired-9500*loss/(loss+2510), 0), 10_000)
	return int(100 + 35*r/1000 + r*(r-6000)*(10_000-r)*7/10_000_000_000)
}
