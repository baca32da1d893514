package program

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
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

// Busy implements realtime.Driver: it reports whether a thread of the program has something to do. The
// first process is not the program's.
func (m *machine) Busy() bool {
	for _, pid := range numbers(m.proc()) {
		if pid == "1" {
			continue
		}
		tasks := m.proc() + "/" + pid + "/task"
		for _, thread := range numbers(tasks) {
			text, err := os.ReadFile(tasks + "/" + thread + "/stat")
			if err != nil { // it has just ended
				return true
			}
			// The name of the command, in parentheses, may contain anything.
			if state := text[min(bytes.LastIndexByte(text, ')')+2, len(text)-1)]; state == 'R' || state == 'D' {
				return true
			}
		}
	}
	return false
}

// Waited implements realtime.Driver: it sums up how long the program's threads waited for a core so far.
func (m *machine) Waited() (sum time.Duration) {
	for _, pid := range numbers(m.proc()) {
		if pid == "1" {
			continue
		}
		tasks := m.proc() + "/" + pid + "/task"
		for _, thread := range numbers(tasks) {
			text, err := os.ReadFile(tasks + "/" + thread + "/schedstat") // time run, time waited, turns
			if f := bytes.Fields(text); err == nil && len(f) == 3 {
				ns, _ := strconv.ParseInt(string(f[1]), 10, 64)
				sum += time.Duration(ns)
			}
		}
	}
	return sum
}

// numbers lists what in a folder has a number for a name.
func numbers(folder string) (all []string) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil
	}
	for _, e := range entries {
		if c := e.Name()[0]; c >= '0' && c <= '9' {
			all = append(all, e.Name())
		}
	}
	return all
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
