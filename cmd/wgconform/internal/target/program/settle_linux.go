package program

import (
	"fmt"
	"os"
	"path/filepath"
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

// proc is the machine's own /proc, which shows its processes by their numbers there.
func (m *machine) proc() string {
	return "/proc/" + strconv.Itoa(m.process.Process.Pid) + "/root/proc"
}

// busy reports whether a thread of the program has something to do. The first process is not the program's.
func (m *machine) busy() bool {
	stats, err := filepath.Glob(m.proc() + "/[0-9]*/task/[0-9]*/stat")
	if err != nil {
		return false
	}
	for _, path := range stats {
		if strings.HasPrefix(path, m.proc()+"/1/") {
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil { // it has just ended
			return true
		}
		// The name of the command, in parentheses, may contain anything.
		fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
		if len(fields) > 0 && (fields[0] == "R" || fields[0] == "D") {
			return true
		}
	}
	return false
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
