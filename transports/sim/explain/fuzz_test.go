package explain

import (
	"bytes"
	"io"
	"testing"
	"time"
)

// Captures come from strangers: whatever is in them, there is a report or an error, and the report can be written.
func FuzzExplain(f *testing.F) {
	for _, build := range []func(s *stage, a, b *actor){
		func(s *stage, a, b *actor) { quietly(s, a, b, 0) },
		cookiesInVain,
		func(s *stage, a, b *actor) { s.link, s.wrap = linkEthernet, tagged; quietly(s, a, b, 0) },
		func(s *stage, a, b *actor) { s.snap = 60; quietly(s, a, b, time.Hour) },
	} {
		s, a, b := newStage(f)
		build(s, a, b)
		f.Add(s.capture(time.Second, true), []byte(a.conf("a").Text), []byte(b.conf("b").Text))
	}
	f.Fuzz(func(t *testing.T, data, first, second []byte) {
		o := Options{}
		for _, text := range [][]byte{first, second} {
			if _, err := readConf(Config{"x", string(text)}); err == nil {
				o.Configs = append(o.Configs, Config{"x", string(text)})
			}
		}
		r, err := Explain([]Source{{"one", bytes.NewReader(data)}, {"two", bytes.NewReader(data)}}, o)
		if err != nil {
			return
		}
		if err := r.WriteText(io.Discard); err != nil {
			t.Error(err)
		}
		if err := r.WriteJSON(io.Discard); err != nil {
			t.Error(err)
		}
	})
}

func tagged(ip []byte) []byte {
	return append([]byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x81, 0, 0, 7, 8, 0}, ip...)
}
