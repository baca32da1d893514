package report

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/purewire/purewire/transports/sim"
)

// Flows writes what the users of the inner traffic felt, as tables: one line per flow, and one for each action or fault
// with the flow whose user waited longest after it. Of many, those that fared worst are shown. [Text] has
// these tables too.
func Flows(w io.Writer, r *sim.Result, o Options) error {
	p := newPrinter(w, o)
	p.flows(r)
	return p.err
}

// Most rows of the tables of flows and of disturbances.
const (
	mostFlows        = 16
	mostDisturbances = 12
)

func (p *printer) flows(r *sim.Result) {
	if len(r.Flows) == 0 {
		return
	}
	p.heading("What the users felt")
	shown := make([]int, len(r.Flows))
	for i := range shown {
		shown[i] = i
	}
	if len(shown) > mostFlows {
		slices.SortStableFunc(shown, func(a, b int) int {
			return cmp.Compare(felt(&r.Flows[b]).OutageTotal, felt(&r.Flows[a]).OutageTotal)
		})
		shown = shown[:mostFlows]
		slices.Sort(shown)
	}
	var rows [][]string
	var list []*sim.FlowResult
	for _, i := range shown {
		list = append(list, &r.Flows[i])
		rows = append(rows, flowRow(&r.Flows[i]))
	}
	p.table([]string{"flow", ">sent", ">lost", ">", ">median", ">99 %", ">outages", ">longest", ">first", ">jitter"}, rows)
	if n := len(r.Flows) - len(shown); n > 0 {
		p.line(fmt.Sprintf("  and %s with shorter outages", plural(uint64(n), "flow")))
	}
	p.kinds(list)
	p.comebacks(r)
}

// felt is the way of a flow that its user notices.
func felt(f *sim.FlowResult) *sim.WayResult {
	if f.Round.Sent > 0 {
		return &f.Round
	}
	return &f.Forth
}

func flowRow(f *sim.FlowResult) []string {
	w := felt(f)
	row := []string{f.Name, count(w.Sent), count(w.Lost()), share(w.Lost(), w.Sent), "–", "–", "–", "–", "–", "–"}
	if w.Delivered > 0 {
		row[4], row[5], row[8] = span(w.Delay.P50), span(w.Delay.P99), span(w.FirstAfter)
		row[9] = span(f.Forth.Jitter)
	}
	if w.OutageCount > 0 {
		row[6], row[7] = count(w.OutageCount), span(w.LongestOutage())
	}
	return row
}

// kinds writes what only streams and only calls have.
func (p *printer) kinds(list []*sim.FlowResult) {
	var streams, calls [][]string
	for _, f := range list {
		switch s := &f.Stream; f.Kind {
		case sim.FlowBulk:
			whole := "yes"
			if !s.Intact {
				whole = "NO"
			}
			streams = append(streams, []string{f.Name, size(s.Delivered), size(f.Forth.Goodput), count(s.Transfers),
				count(s.Repeated), count(s.Timeouts), count(s.Aborted), whole})
		case sim.FlowVoice:
			calls = append(calls, []string{f.Name, fmt.Sprintf("%d.%02d", f.Voice.MOS/100, f.Voice.MOS%100),
				count(f.Voice.Late)})
		}
	}
	if streams != nil {
		p.line("")
		p.table([]string{"stream", ">got", ">per s", ">transfers", ">repeated", ">timeouts", ">aborted", ">intact"}, streams)
	}
	if calls != nil {
		p.line("")
		p.table([]string{"call", ">MOS", ">too late to be heard"}, calls)
	}
}

// slowest is the flow whose user waited longest after a disturbance. If it was a host's, flows of that host count
// before all others, which may have had troubles of their own.
type slowest struct {
	flow   string
	waited time.Duration // NoTime: until the end
	n      int           // flows that were asked
	own    bool          // it is a flow of the host
}

// comebacks lists the disturbances after which somebody waited.
func (p *printer) comebacks(r *sim.Result) {
	worst := make([]slowest, len(r.Disturbances))
	for i := range r.Flows {
		f := &r.Flows[i]
		for k := range f.Recoveries {
			c := &f.Recoveries[k]
			w := &worst[c.Disturbance]
			host := r.Disturbances[c.Disturbance].Host
			own := f.From == host || f.To == host
			if w.n++; w.n == 1 || own && !w.own || own == w.own && longer(c.Waited(), w.waited) {
				w.flow, w.waited, w.own = f.Name, c.Waited(), own
			}
		}
	}
	var list []int
	for i := range worst {
		if worst[i].n > 0 {
			list = append(list, i)
		}
	}
	if list == nil {
		return
	}
	rest := len(list) - mostDisturbances
	if rest > 0 {
		slices.SortStableFunc(list, func(a, b int) int {
			switch {
			case longer(worst[a].waited, worst[b].waited):
				return -1
			case longer(worst[b].waited, worst[a].waited):
				return 1
			}
			return 0
		})
		list = list[:mostDisturbances]
		slices.Sort(list)
	}
	p.heading("How long they waited after each trouble")
	var rows [][]string
	for _, i := range list {
		d := &r.Disturbances[i]
		waited := "to the end"
		if worst[i].waited != sim.NoTime {
			waited = span(worst[i].waited)
		}
		rows = append(rows, []string{clock(d.Start), clock(d.End), waited, worst[i].flow, what(d)})
	}
	p.table([]string{">from", ">until", ">waited", "slowest flow", "what"}, rows)
	if rest > 0 {
		p.line(fmt.Sprintf("  and %d more, after which nobody waited longer", rest))
	}
}

// longer compares lengths of time of which one may not have come to an end.
func longer(a, b time.Duration) bool { return b != sim.NoTime && (a == sim.NoTime || a > b) }

func what(d *sim.Disturbance) string {
	if d.Action == sim.ActionNone {
		return "fault " + d.Name
	}
	return strings.TrimSpace(d.Host + " " + strings.TrimPrefix(d.Name, d.Host+" "))
}

type jsonFlow struct {
	Name       string         `json:"name"`
	Kind       string         `json:"kind"`
	From       string         `json:"from"`
	To         string         `json:"to"`
	Forth      jsonWay        `json:"forth"`
	Back       *jsonWay       `json:"back,omitempty"`
	Round      *jsonWay       `json:"round,omitempty"`
	Recoveries []jsonRecovery `json:"recoveries"`
	Omitted    uint64         `json:"recoveries_omitted,omitempty"`
	Stream     *jsonStream    `json:"stream,omitempty"`
	Voice      *jsonVoice     `json:"voice,omitempty"`
}

type jsonWay struct {
	Sent           uint64       `json:"sent"`
	Delivered      uint64       `json:"delivered"`
	Lost           uint64       `json:"lost"`
	SentBytes      uint64       `json:"sent_bytes"`
	DeliveredBytes uint64       `json:"delivered_bytes"`
	PayloadBytes   uint64       `json:"payload_bytes"`
	Goodput        uint64       `json:"goodput_bytes_per_s"`
	FirstSent      *int64       `json:"first_sent_ns"`
	FirstAfter     *int64       `json:"first_after_ns"`
	DelayP50       int64        `json:"delay_p50_ns"`
	DelayP90       int64        `json:"delay_p90_ns"`
	DelayP99       int64        `json:"delay_p99_ns"`
	DelayMax       int64        `json:"delay_max_ns"`
	Jitter         int64        `json:"jitter_ns"`
	OutageCount    uint64       `json:"outage_count"`
	OutageTotal    int64        `json:"outage_total_ns"`
	LongestOutage  int64        `json:"longest_outage_ns"`
	Outages        []jsonOutage `json:"outages"`
}

type jsonOutage struct {
	Start int64 `json:"start_ns"`
	End   int64 `json:"end_ns"`
	Open  bool  `json:"open,omitempty"`
}

type jsonRecovery struct {
	Disturbance int    `json:"disturbance"`
	First       int64  `json:"first_ns"`
	Back        *int64 `json:"back_ns"`
	Took        *int64 `json:"took_ns"`
	Waited      *int64 `json:"waited_ns"`
}

type jsonStream struct {
	Transfers   uint64 `json:"transfers"`
	Connections uint64 `json:"connections"`
	Aborted     uint64 `json:"aborted"`
	Delivered   uint64 `json:"delivered_bytes"`
	Intact      bool   `json:"intact"`
	Segments    uint64 `json:"segments"`
	Repeated    uint64 `json:"repeated"`
	Timeouts    uint64 `json:"timeouts"`
	Recoveries  uint64 `json:"fast_recoveries"`
	SRTT        int64  `json:"srtt_ns"`
	TransferP50 int64  `json:"transfer_p50_ns"`
	TransferP90 int64  `json:"transfer_p90_ns"`
	TransferP99 int64  `json:"transfer_p99_ns"`
	TransferMax int64  `json:"transfer_max_ns"`
}

type jsonVoice struct {
	Late uint64 `json:"late"`
	MOS  int    `json:"mos_hundredths"`
}

type jsonDisturbance struct {
	Kind  string `json:"kind"`
	Name  string `json:"name"`
	Host  string `json:"host,omitempty"`
	Start int64  `json:"start_ns"`
	End   int64  `json:"end_ns"`
}

// moment is null for what never came.
func moment(d time.Duration) *int64 {
	if d == sim.NoTime {
		return nil
	}
	n := int64(d)
	return &n
}

func flowsJSON(r *sim.Result) []jsonFlow {
	list := []jsonFlow{}
	for i := range r.Flows {
		f := &r.Flows[i]
		j := jsonFlow{Name: f.Name, Kind: f.Kind.String(), From: f.From, To: f.To, Forth: *wayJSON(&f.Forth),
			Recoveries: []jsonRecovery{}, Omitted: f.RecoveriesOmitted}
		switch f.Kind {
		case sim.FlowPing, sim.FlowRequest:
			j.Back, j.Round = wayJSON(&f.Back), wayJSON(&f.Round)
		case sim.FlowBulk:
			s := &f.Stream
			j.Back = wayJSON(&f.Back)
			j.Stream = &jsonStream{s.Transfers, s.Connections, s.Aborted, s.Delivered, s.Intact, s.Segments, s.Repeated,
				s.Timeouts, s.Recoveries, int64(s.SRTT), int64(s.Transfer.P50), int64(s.Transfer.P90), int64(s.Transfer.P99),
				int64(s.Transfer.Max)}
		case sim.FlowVoice:
			j.Voice = &jsonVoice{f.Voice.Late, f.Voice.MOS}
		}
		for k := range f.Recoveries {
			c := &f.Recoveries[k]
			j.Recoveries = append(j.Recoveries, jsonRecovery{c.Disturbance, int64(c.First), moment(c.Back),
				moment(c.Took(&r.Disturbances[c.Disturbance])), moment(c.Waited())})
		}
		list = append(list, j)
	}
	return list
}

func wayJSON(w *sim.WayResult) *jsonWay {
	j := &jsonWay{Sent: w.Sent, Delivered: w.Delivered, Lost: w.Lost(), SentBytes: w.SentBytes,
		DeliveredBytes: w.DeliveredBytes, PayloadBytes: w.PayloadBytes, Goodput: w.Goodput,
		FirstSent: moment(w.FirstSent), FirstAfter: moment(w.FirstAfter), DelayP50: int64(w.Delay.P50),
		DelayP90: int64(w.Delay.P90), DelayP99: int64(w.Delay.P99), DelayMax: int64(w.Delay.Max), Jitter: int64(w.Jitter),
		OutageCount: w.OutageCount, OutageTotal: int64(w.OutageTotal), LongestOutage: int64(w.LongestOutage()),
		Outages: []jsonOutage{}}
	for _, o := range w.Outages {
		j.Outages = append(j.Outages, jsonOutage{int64(o.Start), int64(o.End), o.Open})
	}
	return j
}

func disturbancesJSON(r *sim.Result) []jsonDisturbance {
	list := []jsonDisturbance{}
	for _, d := range r.Disturbances {
		kind := d.Action.String()
		if d.Action == sim.ActionNone {
			kind = "fault"
		}
		list = append(list, jsonDisturbance{kind, d.Name, d.Host, int64(d.Start), int64(d.End)})
	}
	return list
}
