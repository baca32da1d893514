package realtime

import (
	"bytes"
	"iter"
	"os"
	"strconv"
)

// A Thread is what /proc tells of a thread, or of a process.
type Thread struct {
	Number int
	Folder string // in /proc
}

// Threads are the threads or processes that a folder of /proc shows by their numbers.
func Threads(folder string) iter.Seq[Thread] {
	return func(yield func(Thread) bool) {
		entries, err := os.ReadDir(folder)
		if err != nil {
			return
		}
		for _, e := range entries {
			if n, err := strconv.Atoi(e.Name()); err == nil && !yield(Thread{n, folder + "/" + e.Name()}) {
				return
			}
		}
	}
}

// stat is what /proc tells of the thread's state; empty: it has just ended.
func (t Thread) stat() []byte {
	text, err := os.ReadFile(t.Folder + "/stat")
	if err != nil {
		return nil
	}
	return text
}

// Busy reports whether the thread has something to do, or has just ended.
func (t Thread) Busy() bool { return BusyStat(t.stat()) }

// BusyStat is Busy for who has read the thread's stat: in state R it runs or waits for a core, in D it is in the kernel
// and will be back soon.
func BusyStat(stat []byte) bool {
	at := bytes.LastIndexByte(stat, ')') + 2 // the name, in parentheses, may contain anything
	return at >= len(stat) || stat[at] == 'R' || stat[at] == 'D'
}

// Name is what the thread calls itself; empty: it has just ended.
func (t Thread) Name() string {
	_, name, _ := bytes.Cut(t.stat(), []byte("("))
	return string(name[:max(bytes.LastIndexByte(name, ')'), 0)])
}
