package report

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/purewire/purewire/timers"
	"github.com/purewire/purewire/transports/sim"
	"github.com/purewire/purewire/transports/sim/gallery"
)

func runText(t *testing.T, s sim.Scenario, seed uint64) string {
	t.Helper()
	var out bytes.Buffer
	text := NewText(&out, &s, seed, Options{})
	run, err := sim.New(s, sim.Options{Seed: seed, Observe: text.Observe})
	if err != nil {
		t.Fatal(err)
	}
	r := run.Run()
	if err := text.Finish(&r); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// stored is a scenario of the gallery.
func stored(t *testing.T, name string) sim.Scenario {
	t.Helper()
	s, err := gallery.Scenario(name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Every scenario that comes along fits the width, and its story does not scroll for ever.
func TestScenariosReadWell(t *testing.T) {
	for _, name := range []string{"default", "roaming", "nat-timeout", "crossing", "lossy", "sleep", "restart", "cookies",
		"reconfigure", "liar"} {
		s := stored(t, name)
		for seed := range uint64(3) {
			text := runText(t, s, seed)
			narrow(t, text, defaultWidth)
			if n := strings.Count(text, "\n"); n < 30 || n > 140 {
				t.Errorf("%s, seed %d: %d lines", s.Name, seed, n)
			}
			times := ""
			for line := range strings.Lines(text) {
				if len(line) > 9 && line[2] == ':' && line[5] == '.' {
					if at := line[:9]; at < times {
						t.Errorf("%s, seed %d: out of order: %s", s.Name, seed, line)
					} else {
						times = at
					}
				}
			}
		}
	}
}

// What the issue promises of the default scenario's story, in the words of the story.
func TestDefaultScenarioTellsItsStory(t *testing.T) {
	text := runText(t, stored(t, gallery.Default), 1)
	for _, want := range []string{
		"seed 1, scenario default",
		"session 1 in ", "(TIMER-07)", // handshakes and rekeys with their cause
		"leaves home", "joins cafe", "office           follows laptop to ",
		"falls asleep", "wakes up", "follows phone to another port of its NAT",
		"gets through again after ", "branch-line up: loss",
		"refuses a datagram damaged on the way: ", "(REPLAY-02)",
		"stranger         begins to knock", "longest outage", "all ",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the story does not say %q", want)
		}
	}
}

type broken struct{}

var errBroken = errors.New("no paper")

func (broken) Write([]byte) (int, error) { return 0, errBroken }

func TestFinishGivesTheErrorOfWriting(t *testing.T) {
	text, j := NewText(broken{}, smallWorld(), 1, Options{}), NewJSON(broken{}, smallWorld(), 1)
	if err := text.Finish(someResult()); !errors.Is(err, errBroken) {
		t.Errorf("text: %v", err)
	}
	if err := j.Finish(someResult()); !errors.Is(err, errBroken) {
		t.Errorf("JSON: %v", err)
	}
}

func TestNumbersForPeople(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{clock(0), "00:00.000"},
		{clock(61*time.Second + 5*time.Millisecond), "01:01.005"},
		{clock(100 * time.Minute), "100:00.000"},
		{span(999 * time.Microsecond), "under 1 ms"},
		{span(999 * time.Millisecond), "999 ms"},
		{span(9999 * time.Millisecond), "9.9 s"},
		{span(99999 * time.Millisecond), "99.9 s"},
		{span(100 * time.Second), "1 min 40 s"},
		{exactly(90 * time.Second), "90 s"},
		{exactly(2 * time.Minute), "2 min"},
		{exactly(150 * time.Second), "2 min 30 s"},
		{exactly(200 * time.Millisecond), "200 ms"},
		{exactly(1500 * time.Millisecond), "1.5s"},
		{count(0), "0"},
		{count(999), "999"},
		{count(1000), "1,000"},
		{count(1234567), "1,234,567"},
		{size(999), "999 B"},
		{size(1000), "1.0 kB"},
		{size(999_999), "999.9 kB"},
		{size(1_000_000), "1.0 MB"},
		{size(2_345_678_901_234), "2,345.6 GB"},
		{share(0, 10), ""},
		{share(1, 10_000), "< 0.1 %"},
		{share(1, 3), "33.3 %"},
		{plural(1, "time"), "1 time"},
		{plural(0, "time"), "0 times"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}

func TestWrap(t *testing.T) {
	for _, c := range []struct {
		text string
		want []string
	}{
		{"", []string{""}},
		{"one two three", []string{"one two", "three"}},
		{"ten\u00a0letters and", []string{"ten\u00a0letter", "s and"}},
		{"abcdefghijklmno", []string{"abcdefghij", "klmno"}},
		{"a abcdefghijk", []string{"a", "abcdefghij", "k"}},
	} {
		if got := wrap(c.text, 10); strings.Join(got, "|") != strings.Join(c.want, "|") {
			t.Errorf("%q: got %q, want %q", c.text, got, c.want)
		}
	}
}

// A silence begins with the first packet that gets no further, not with the last that did.
func TestSilences(t *testing.T) {
	for _, c := range []struct {
		length time.Duration
		want   bool
	}{{remarkable - 1, false}, {remarkable, true}} {
		s := newSilences()
		at := timers.Time(0)
		packet := func(kind sim.Kind, from, to string) (silence, bool) {
			r := &sim.Record{At: at, Kind: kind, Host: from, Peer: to}
			if kind == sim.KindInnerSent {
				s.sent(r)
				return silence{}, false
			}
			return s.delivered(r)
		}
		packet(sim.KindInnerSent, "a", "b")
		packet(sim.KindInnerDelivered, "b", "a")
		at = at.Add(time.Hour) // in which nothing was to be said
		packet(sim.KindInnerSent, "a", "b")
		at = at.Add(c.length / 2)
		packet(sim.KindInnerSent, "a", "b")
		packet(sim.KindInnerSent, "b", "a")
		packet(sim.KindInnerDelivered, "a", "b") // the other direction does not count
		at = at.Add(c.length - c.length/2)
		over, told := packet(sim.KindInnerDelivered, "b", "a")
		if told != c.want || over.length != c.length || over.sent != 2 {
			t.Errorf("after %s: %+v, told %v", c.length, over, told)
		}
		if _, told := packet(sim.KindInnerDelivered, "b", "a"); told {
			t.Error("one silence was told twice")
		}
	}
}
