package program

import (
	"bytes"
	"fmt"
	"iter"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/purewire/purewire/cmd/wgconform/internal/target/realtime"
)

// A program hears from the kernel that its interface came up, and nothing says when it has done what it does then: a
// packet that is quicker finds it down. Its threads show it, though. Each that has something to do is running or
// waits for a core, and the kernel makes it so within the call that brings the interface up.

const (
	settlePatience = 2 * time.Second
	settlePause    = 2 * time.Millisecond
	settleLooks    = 5 // in a row without anything to do
)

// Settle implements realtime.Driver: it waits until the program has come to rest, with a socket on the port. That it
// does not is no error: some programs never rest, some open no socket.
func (m *machine) Settle(port uint16) {
	bound := port == 0
	calm := 0
	for end := time.Now().Add(settlePatience); calm < settleLooks && time.Now().Before(end); {
		time.Sleep(settlePause)
		bound = bound || m.listensOn(port)
		calm++
		if !bound || m.Busy() {
			calm = 0
		}
	}
}

// proc is the machine's own /proc, which shows its processes by their numbers there.
func (m *machine) proc() string {
	return "/proc/" + strconv.Itoa(m.process.Process.Pid) + "/root/proc"
}

// Busy implements realtime.Driver: it reports whether a thread of the program has something to do.
func (m *machine) Busy() bool {
	for t := range m.threads() {
		if t.Busy() {
			return true
		}
	}
	return false
}

// threads are those of all processes of the program. The first process is not the program's.
func (m *machine) threads() iter.Seq[realtime.Thread] {
	return func(yield func(realtime.Thread) bool) {
		for p := range realtime.Threads(m.proc()) {
			if p.Number == 1 {
				continue
			}
			for t := range realtime.Threads(p.Folder + "/task") {
				if !yield(t) {
					return
				}
			}
		}
	}
}

// Waited implements realtime.Driver: it sums up how long the program's threads waited for a core so far.
func (m *machine) Waited() (sum time.Duration) {
	for t := range m.threads() {
		text, err := os.ReadFile(t.Folder + "/schedstat") // time run, time waited, turns
		if f := bytes.Fields(text); err == nil && len(f) == 3 {
			ns, _ := strconv.ParseInt(string(f[1]), 10, 64)
			sum += time.Duration(ns)
		}
	}
	return sum
}

// listensOn reports whether a UDP socket of the machine has the port.
func (m *machine) listensOn(port uint16) bool {
	want := fmt.Sprintf(":%04X", port)
	for _, table := range []string{"udp", "udp6"} {
		text, err := os.ReadFile(m.proc() + "/1/net/" + table)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			if f := strings.Fields(line); len(f) > 1 && strings.HasSuffix(f[1], want) {
				return true
			}
		}
	}
	return false
}
