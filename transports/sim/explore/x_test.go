package explore

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/protocol/protocoltest"
	"github.com/purewire/purewire/transports/sim"
)

func TestX(t *testing.T) {
	from, _ := strconv.Atoi(os.Getenv("FROM"))
	to, _ := strconv.Atoi(os.Getenv("TO"))
	s := NewSummary(uint64(from), uint64(to), "")
	err := Sweep(context.Background(), Plan{From: uint64(from), To: uint64(to), Jobs: 1}, func(o *Outcome) {
		s.Add(o)
		for i, v := range o.Violations {
			if i < 3 {
				fmt.Println(o.Seed, time.Duration(v.At), v.Host, v.Checker, v.Text)
			}
		}
	})
	fmt.Println(err)
	for _, f := range s.Floors() {
		fmt.Printf("%+v\n", f)
	}
	for _, e := range s.Covered.Entries() {
		fmt.Printf("%s %s %d %s; ", e.List, e.Name, e.Count, e.Why)
	}
	fmt.Println()
	for _, k := range sim.FaultKinds() {
		fmt.Printf("%s %s; ", k, percent(s.SeedsWith(k.String()), len(s.Runs)))
	}
	fmt.Println(s.Exempt)
}

func TestS(t *testing.T) {
	for _, name := range []string{"no-replay-window", "no-rekey", "keepalive-loop", "roam-on-cookie", "keys-live-forever", "crossing-stall", "drop-previous-key", "confirm-early", "wrong-allowed-ip", "nonce-reuse", "ignore-timestamp", "forget-timestamp-on-rekey"} {
		if e := os.Getenv("NAME"); e != "" && e != name {
			continue
		}
		b := time.Now()
		opt := Options{Spoil: func(d *protocol.Device) { protocoltest.WithDefect(d, name) }}
		Sweep(context.Background(), Plan{From: 1, To: 50, Jobs: 1, Options: opt, Failures: 1}, func(o *Outcome) {
			if !o.Failed() {
				return
			}
			x := Shrink(o.File, opt, o.Checker())
			if x == nil {
				fmt.Println(name, o.Seed, o.Checker(), "not with all", o.Spoiled)
				op := opt
				op.Spoiled = o.Spoiled
				x = Shrink(o.File, op, o.Checker())
			}
			text, _ := x.File.Marshal()
			os.WriteFile("/tmp/x-"+name+".yaml", text, 0o644)
			good, _ := Run(x.File, Options{})
			fmt.Println(name, o.Seed, o.Checker(), x.At, "tries", x.Tries, x.Events, x.Done, "hosts", len(x.File.Hosts), "faults", len(x.File.Faults), "actions", len(x.File.Timeline), "dur", x.File.Duration, "good:", good.Checker(), time.Since(b).Round(time.Millisecond))
		})
	}
}
