package capture_test

import (
	"errors"
	"testing"

	"github.com/purewire/purewire/transports/sim"
	"github.com/purewire/purewire/transports/sim/capture"
)

// full is a disk that has room for so many bytes.
type full struct{ room int }

var errFull = errors.New("no space left")

func (f *full) Write(b []byte) (int, error) {
	if f.room -= len(b); f.room < 0 {
		return 0, errFull
	}
	return len(b), nil
}

func TestCloseGivesTheErrorOfTheFile(t *testing.T) {
	for _, room := range []int{0, 100, 100_000} {
		s := trouble()
		w, err := capture.New(&full{room}, &s, 1)
		if err != nil {
			t.Fatalf("New writes to a buffer, but: %v", err)
		}
		run, err := sim.New(s, sim.Options{Seed: 1, Observe: w.Observe})
		if err != nil {
			t.Fatal(err)
		}
		run.Run()
		if err := w.Close(); !errors.Is(err, errFull) {
			t.Errorf("room for %d bytes: got %v", room, err)
		}
	}
}

// BenchmarkWrite measures what a capture adds to a run of the trouble scenario: compare with BenchmarkRun.
func BenchmarkWrite(b *testing.B) {
	for range b.N {
		s := trouble()
		w, err := capture.New(&full{1 << 30}, &s, 1)
		if err != nil {
			b.Fatal(err)
		}
		run, err := sim.New(s, sim.Options{Seed: 1, Observe: w.Observe})
		if err != nil {
			b.Fatal(err)
		}
		run.Run()
		if err := w.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRun is the run alone.
func BenchmarkRun(b *testing.B) {
	for range b.N {
		run, err := sim.New(trouble(), sim.Options{Seed: 1})
		if err != nil {
			b.Fatal(err)
		}
		run.Run()
	}
}
