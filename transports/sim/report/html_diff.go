package report

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// Run is a run as [JSON] wrote it, read back to compare another with.
type Run struct {
	head   jsonHead
	events []jsonEvent
	tail   jsonTail
}

// MaxRunEvents bounds what [ReadRun] takes.
const MaxRunEvents = 1_000_000

// ReadRun reads what [JSON] wrote. What is no such file is an error that says what is wrong with it.
func ReadRun(r io.Reader) (*Run, error) {
	d := json.NewDecoder(r)
	run := &Run{}
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, fmt.Errorf("it is not what wgsim run --json writes: it does not start with an object")
	}
	rest := map[string]json.RawMessage{} // looked up only
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, malformed(d, err)
		}
		name, _ := key.(string)
		if name == "events" {
			if err := run.readEvents(d); err != nil {
				return nil, err
			}
			continue
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, malformed(d, err)
		}
		rest[name] = value
	}
	if _, err := d.Token(); err != nil {
		return nil, malformed(d, err)
	}
	whole, err := json.Marshal(rest)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(whole, &run.head); err != nil {
		return nil, fmt.Errorf("it is not what wgsim run --json writes: %w", err)
	}
	if err := json.Unmarshal(whole, &run.tail); err != nil {
		return nil, fmt.Errorf("it is not what wgsim run --json writes: %w", err)
	}
	if run.head.Version != SchemaVersion || run.tail.Digest == "" {
		return nil, fmt.Errorf("it is not what wgsim run --json writes: it takes version %d and a digest", SchemaVersion)
	}
	return run, nil
}

func (run *Run) readEvents(d *json.Decoder) error {
	if t, err := d.Token(); err != nil || t != json.Delim('[') {
		return fmt.Errorf("it is not what wgsim run --json writes: events is no list")
	}
	for d.More() {
		var e jsonEvent
		if err := d.Decode(&e); err != nil {
			return malformed(d, err)
		}
		if len(run.events) == MaxRunEvents {
			return fmt.Errorf("it has more than %d events", MaxRunEvents)
		}
		run.events = append(run.events, e)
	}
	if _, err := d.Token(); err != nil {
		return malformed(d, err)
	}
	return nil
}

func malformed(d *json.Decoder, err error) error {
	return fmt.Errorf("it is broken at byte %d: %w", d.InputOffset(), err)
}

// eventKey stands for what happened in an event, and when. Numbers that are counted and indices that are drawn at
// random are names only, and stay out: two seeds that behave alike are alike.
type eventKey [sha256.Size]byte

func keyOf(e *jsonEvent) eventKey {
	c := *e
	c.Seq, c.Local, c.Remote, c.Datagram, c.Original = 0, 0, 0, 0, 0
	b, err := json.Marshal(&c)
	if err != nil {
		panic("report: an event that is no JSON: " + err.Error()) // it has no field that could fail
	}
	return sha256.Sum256(b)
}

// versus compares the events of two runs as sets, and in their order as far as they are the same.
type versus struct {
	other  *Run
	keys   []eventKey
	left   map[eventKey]int // how many of the other's have no equal yet; looked up only
	next   int
	parted bool
	first  pageDifference
	here   uint64
	inBoth uint64
}

// pageVersus is what the page says of the other run.
type pageVersus struct {
	Head      jsonHead        `json:"head"`
	Result    jsonTail        `json:"result"`
	Same      bool            `json:"same"` // not one byte of the two runs differs
	Both      uint64          `json:"both"`
	Here      uint64          `json:"here"`  // events that only this run has
	There     uint64          `json:"there"` // that only the other has
	First     *pageDifference `json:"first"`
	OnlyThere []pageGhost     `json:"only_there"` // at most mostGhosts
}

// pageDifference is where the two lists of events part; one of the texts is "" if that run has ended.
type pageDifference struct {
	At    int64  `json:"at_ns"`
	Seq   uint64 `json:"seq"` // in this run; 0: it has ended
	Here  string `json:"here"`
	There string `json:"there"`
}

// pageGhost is an event that only the other run has.
type pageGhost struct {
	At   int64  `json:"at_ns"`
	Host string `json:"host"`
	Text string `json:"text"`
}

// mostGhosts bounds what is shown of the other run.
const mostGhosts = 5000

func newVersus(other *Run) *versus {
	v := &versus{other: other, left: map[eventKey]int{}}
	for i := range other.events {
		k := keyOf(&other.events[i])
		v.keys = append(v.keys, k)
		v.left[k]++
	}
	return v
}

// see reports whether the event is this run's alone.
func (v *versus) see(e *jsonEvent) (only bool) {
	k := keyOf(e)
	if !v.parted && (v.next == len(v.keys) || v.keys[v.next] != k) {
		v.parted = true
		v.first = pageDifference{At: e.At, Seq: e.Seq, Here: sentence(e)}
		if v.next < len(v.keys) {
			there := &v.other.events[v.next]
			v.first.At, v.first.There = min(e.At, there.At), sentence(there)
		}
	}
	v.next++
	if v.left[k] == 0 {
		v.here++
		return true
	}
	v.left[k]--
	v.inBoth++
	return false
}

func (v *versus) finish(digest string) *pageVersus {
	result := v.other.tail
	result.Flows, result.Disturbances = nil, nil // the page compares tunnels, and these may be many
	p := &pageVersus{Head: v.other.head, Result: result, Same: digest == v.other.tail.Digest, Both: v.inBoth,
		Here: v.here, OnlyThere: []pageGhost{}}
	if !v.parted && v.next < len(v.keys) {
		there := &v.other.events[v.next]
		v.parted, v.first = true, pageDifference{At: there.At, There: sentence(there)}
	}
	if v.parted {
		p.First = &v.first
	}
	for i := range v.keys {
		if v.left[v.keys[i]] == 0 {
			continue
		}
		v.left[v.keys[i]]--
		p.There++
		if e := &v.other.events[i]; len(p.OnlyThere) < mostGhosts {
			p.OnlyThere = append(p.OnlyThere, pageGhost{e.At, e.Host, sentence(e)})
		}
	}
	return p
}

// sentence puts an event into a line.
func sentence(e *jsonEvent) string {
	parts := []string{clock(time.Duration(e.At)), e.Kind}
	add := func(form, s string) {
		if s != "" && s != "0" {
			parts = append(parts, fmt.Sprintf(form, s))
		}
	}
	add("%s", e.Host)
	if e.Peer != "" {
		add("→ %s", e.Peer)
	} else {
		add("→ %s", e.To)
	}
	add("%s", e.Cause)
	add("attempt %s", strconv.Itoa(e.Attempt))
	add("%s", e.Timer)
	add("%s", e.Fate)
	add("by %s", e.LostBy)
	add("%s", e.Reason)
	add("(%s)", e.Rule)
	add("at %s", e.Endpoint)
	add("%s B", strconv.Itoa(e.Bytes))
	add("%s", e.Note)
	return strings.Join(parts, " ")
}
