package report

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"

	"github.com/purewire/purewire/protocol/conformance"
)

// layouts are the parts of the four messages behind type and reserved bytes (rules.md §1.2).
var layouts = map[byte][]conformance.Field{
	1: {{Offset: 4, Length: 4, Name: "sender index"}, {Offset: 8, Length: 32, Name: "ephemeral"},
		{Offset: 40, Length: 48, Name: "encrypted static"}, {Offset: 88, Length: 28, Name: "encrypted timestamp"},
		{Offset: 116, Length: 16, Name: "mac1"}, {Offset: 132, Length: 16, Name: "mac2"}},
	2: {{Offset: 4, Length: 4, Name: "sender index"}, {Offset: 8, Length: 4, Name: "receiver index"},
		{Offset: 12, Length: 32, Name: "ephemeral"}, {Offset: 44, Length: 16, Name: "encrypted empty"},
		{Offset: 60, Length: 16, Name: "mac1"}, {Offset: 76, Length: 16, Name: "mac2"}},
	3: {{Offset: 4, Length: 4, Name: "receiver index"}, {Offset: 8, Length: 24, Name: "nonce"},
		{Offset: 32, Length: 32, Name: "encrypted cookie"}},
	4: {{Offset: 4, Length: 4, Name: "receiver index"}, {Offset: 8, Length: 8, Name: "counter"}},
}

var typeNames = [...]string{1: "initiation", 2: "response", 3: "cookie reply", 4: "transport data"}

// fieldsOf gives the named parts of what an entry carries: those that came with it, or the plain layout of the
// message that a datagram's first byte announces, as far as the datagram goes.
func fieldsOf(e *conformance.TraceEntry) []conformance.Field {
	b := e.Bytes
	if len(e.Fields) > 0 || len(b) < 4 || e.Kind != "datagram-in" && e.Kind != "datagram-out" {
		return e.Fields
	}
	if layouts[b[0]] == nil {
		return nil
	}
	all := []conformance.Field{{Offset: 0, Length: 1, Name: "type", Value: typeNames[b[0]]},
		{Offset: 1, Length: 3, Name: "reserved", Value: hex.EncodeToString(b[1:4])}}
	end := 4
	for _, f := range layouts[b[0]] {
		if f.Offset >= len(b) {
			return all
		}
		f.Length = min(f.Length, len(b)-f.Offset)
		switch f.Length {
		case 4: // an index: named in the trace's texts the same way
			f.Value = fmt.Sprintf("%08x", binary.LittleEndian.Uint32(b[f.Offset:]))
		case 8:
			f.Value = fmt.Sprint(binary.LittleEndian.Uint64(b[f.Offset:]))
		}
		all, end = append(all, f), f.Offset+f.Length
	}
	switch rest := len(b) - end; {
	case rest >= 16 && b[0] == 4:
		if rest > 16 {
			all = append(all, conformance.Field{Offset: end, Length: rest - 16, Name: "encrypted packet"})
		}
		all = append(all, conformance.Field{Offset: len(b) - 16, Length: 16, Name: "tag"})
	case rest > 0:
		all = append(all, conformance.Field{Offset: end, Length: rest, Name: "surplus"})
	}
	return all
}

// A dump is bytes in rows of 16, cut into pieces that belong to one field each.
type dump struct {
	Rows   []dumpRow
	Fields []dumpField
	Left   int // bytes that are not shown
}

type dumpRow struct {
	Offset string
	Pieces []dumpPiece
	Blank  string // fills up a short row
	Text   string // the printable ones
}

type dumpPiece struct {
	Field int // of dump.Fields, -1: none
	Hue   int
	Hex   string
	Name  string
}

type dumpField struct {
	conformance.Field
	Hue int
}

// mostBytes is how much of one datagram a page shows; hues is how many colours fields have.
const (
	mostBytes = 512
	hues      = 8
)

func newDump(e *conformance.TraceEntry) *dump {
	d := &dump{}
	shown := e.Bytes
	if len(shown) > mostBytes {
		d.Left, shown = len(shown)-mostBytes, shown[:mostBytes]
	}
	owner := make([]int, len(shown))
	for i := range owner {
		owner[i] = -1
	}
	for i, f := range fieldsOf(e) {
		d.Fields = append(d.Fields, dumpField{f, i % hues})
		for at := max(0, f.Offset); at < min(f.Offset+f.Length, len(shown)); at++ {
			owner[at] = i
		}
	}
	for from := 0; from < len(shown); from += 16 {
		d.Rows = append(d.Rows, d.row(shown, owner, from))
	}
	return d
}

func (d *dump) row(b []byte, owner []int, from int) dumpRow {
	r := dumpRow{Offset: fmt.Sprintf("%04x", from)}
	to := min(from+16, len(b))
	for at := from; at < to; at++ {
		if c := b[at]; c >= 0x20 && c < 0x7f {
			r.Text += string(rune(c))
		} else {
			r.Text += "·"
		}
		if at == from || owner[at] != owner[at-1] {
			p := dumpPiece{Field: owner[at]}
			if p.Field >= 0 {
				p.Hue, p.Name = d.Fields[p.Field].Hue, d.Fields[p.Field].Name
			}
			r.Pieces = append(r.Pieces, p)
		}
		p := &r.Pieces[len(r.Pieces)-1]
		if p.Hex != "" {
			p.Hex += " "
		}
		p.Hex += hex.EncodeToString(b[at : at+1])
	}
	for range 16 - (to - from) {
		r.Blank += "   "
	}
	return r
}
