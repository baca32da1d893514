package program

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/purewire/purewire/protocol/conformance"
)

// A program hears from the kernel that its interface came up, and nothing says when it has done what it does then: a
// packet that is quicker finds it down. Its threads show it, though. Each that has something to do is running or
// waits for a core, and the kernel makes it so within the call that brings the interface up.

const (
	settlePatience = 2 * time.Second
	settlePause    = 2 * time.Millisecond
	settleLooks    = 5 // in a row without anything to do
)

// settle waits until the program has come to rest, with a socket on its port if it is up and has one. That it does
// not is no error: some programs never rest, some open no socket.
func (s *Subject) settle() {
	bound := s.config.Up == nil || !*s.config.Up || s.config.ListenPort == nil || *s.config.ListenPort == 0
	calm := 0
	for end := time.Now().Add(settlePatience); calm < settleLooks && time.Now().Before(end); {
		time.Sleep(settlePause)
		bound = bound || s.machine.listensOn(*s.config.ListenPort)
		calm++
		if !bound || s.machine.busy() {
			calm = 0
		}
	}
}

// sort is what was done to a subject.
type sort int

const (
	byDatagram4 sort = iota + 1 // each family has its socket
	byDatagram6
	byHandshake4 // and handshakes have their threads, which are slower
	byHandshake6
	byPacket
	byAsking
	byHost // interfaces, addresses, signals
)

const (
	calmPatience = 100 * time.Millisecond
	calmPause    = 200 * time.Microsecond
)

// arriving is the sort of datagrams: that of the first, handshakes only if they come one by one.
func arriving(in []conformance.Datagram) sort {
	by := byDatagram4
	if len(in) > 0 && in[0].Remote.Addr().Is6() {
		by = byDatagram6
	}
	if len(in) == 1 && len(in[0].Bytes) > 0 && (in[0].Bytes[0] == 1 || in[0].Bytes[0] == 2) {
		by += byHandshake4 - byDatagram4
	}
	return by
}

// after waits, before something is done, until the program has dealt with what was done to it before by another way.
// One thread may read datagrams, one packets and one questions: what comes in by two ways has no order of its own, but
// cases mean one thing after the other. That it does not come to rest is no error, since others may keep it busy.
func (s *Subject) after(next sort) {
	last := s.last
	s.last = next
	if last == next || last == 0 {
		return
	}
	calm := 0
	for end := time.Now().Add(calmPatience); calm < 2 && time.Now().Before(end); {
		calm++
		if s.machine.busy() {
			calm = 0
			time.Sleep(calmPause)
		}
	}
}

// proc is the machine's own /proc, which shows its processes by their numbers there.
func (m *machine) proc() string {
	return "/proc/" + strconv.Itoa(m.process.Process.Pid) + "/root/proc"
}

// busy reports whether a thread of the program has something to do. The first process is not the program's.
func (m *machine) busy() bool {
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
