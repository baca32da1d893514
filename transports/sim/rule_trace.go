package sim

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/purewire/purewire/timers"
)

// Trace makes a line do what a real one did: from each point's time on it adds that point's delay and loses that
// share. Before the first point it does nothing. Loop starts it again after its last point, which then counts as the
// end of the last stay; otherwise the last point holds for good. Times count from the start of the run.
type Trace struct {
	Points []TracePoint // by growing time
	Loop   bool
}

// TracePoint is one line of a trace.
type TracePoint struct {
	At, Delay time.Duration
	Loss      Ratio
}

// Judge implements [Rule].
func (t Trace) Judge(now timers.Time, _ *Passing, r *Rand) Verdict {
	at := time.Duration(now)
	if n := len(t.Points); t.Loop && n > 1 && t.Points[n-1].At > 0 {
		at %= t.Points[n-1].At
	}
	i := sort.Search(len(t.Points), func(i int) bool { return t.Points[i].At > at })
	if i == 0 {
		return Verdict{}
	}
	p := &t.Points[i-1]
	v := Verdict{Drop: r.Chance(p.Loss), Delay: p.Delay, Why: "trace"}
	if v.Drop || v.Delay > 0 {
		v.Kind = FaultTrace
	}
	return v
}

// Fresh implements [Rule].
func (t Trace) Fresh() Rule { return t }

// ParseTrace reads a trace from CSV with the columns time, delay, loss. The first two are durations such as 1.5s or
// 40ms, bare whole numbers being milliseconds; loss is as [ParseRatio] reads it. A first line without
// digits is a header; lines that begin with # are comments. Errors name the line.
func ParseTrace(r io.Reader) (Trace, error) {
	c := csv.NewReader(r)
	c.Comment, c.FieldsPerRecord, c.TrimLeadingSpace = '#', 3, true
	var t Trace
	for first := true; ; first = false {
		row, err := c.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return Trace{}, fmt.Errorf("trace: %w", err)
		}
		if first && !strings.ContainsAny(row[0], "0123456789") {
			continue
		}
		line, _ := c.FieldPos(0)
		p, err := tracePoint(row)
		if err != nil {
			return Trace{}, fmt.Errorf("trace: line %d: %w", line, err)
		}
		if n := len(t.Points); n > 0 && t.Points[n-1].At >= p.At {
			return Trace{}, fmt.Errorf("trace: line %d: time %s does not grow", line, row[0])
		}
		t.Points = append(t.Points, p)
	}
	if len(t.Points) == 0 {
		return Trace{}, errors.New("trace: it has no points")
	}
	return t, nil
}

func tracePoint(row []string) (p TracePoint, err error) {
	for i, d := range []*time.Duration{&p.At, &p.Delay} {
		text := strings.TrimSpace(row[i])
		if _, bare := strconv.ParseUint(text, 10, 32); bare == nil {
			text += "ms"
		}
		if *d, err = time.ParseDuration(text); err != nil || *d < 0 {
			return p, fmt.Errorf("%s %q is no duration", [...]string{"time", "delay"}[i], row[i])
		}
	}
	p.Loss, err = ParseRatio(row[2])
	return p, err
}

// ParseRatio reads a probability: 2%, 0.5% (up to seven digits in all), 3/1000, 0.02, 0 or 1.
func ParseRatio(text string) (Ratio, error) {
	bad := fmt.Errorf("%q is no share: write 2%%, 0.5%% or 3/1000", text)
	s := strings.TrimSpace(text)
	if num, den, ok := strings.Cut(s, "/"); ok {
		n, err1 := strconv.ParseUint(strings.TrimSpace(num), 10, 32)
		d, err2 := strconv.ParseUint(strings.TrimSpace(den), 10, 32)
		if err1 != nil || err2 != nil || d == 0 || n > d {
			return Ratio{}, bad
		}
		return Ratio{uint32(n), uint32(d)}, nil
	}
	den := uint64(1)
	if p, ok := strings.CutSuffix(s, "%"); ok {
		s, den = strings.TrimSpace(p), 100
	}
	whole, part, _ := strings.Cut(s, ".")
	if len(whole)+len(part) > 7 {
		return Ratio{}, bad
	}
	for range part {
		den *= 10
	}
	n, err := strconv.ParseUint(whole+part, 10, 32)
	if err != nil || whole == "" || n > den {
		return Ratio{}, bad
	}
	return Ratio{uint32(n), uint32(den)}, nil
}
