package main

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"
)

// TestProgramPages: only what is mapped from the program file, read-only and unchanged.
func TestProgramPages(t *testing.T) {
	const smaps = `00400000-008ae000 r-xp 00000000 fe:00 1 /usr/bin/wgnode
Rss:                4216 kB
Anonymous:             0 kB
008ae000-00dd2000 r--p 004ae000 fe:00 1 /usr/bin/wgnode
Anonymous:             8 kB
00dd2000-00e3b000 rw-p 009d2000 fe:00 1 /usr/bin/wgnode
Anonymous:             0 kB
00f00000-00f10000 r--p 00b00000 fe:00 1 /usr/bin/wgnode
Anonymous:             0 kB
00e3b000-02e7f000 rw-p 00000000 00:00 0
Anonymous:             0 kB
7f0000000000-7f0000010000 r-xp 00000000 fe:00 2 /usr/lib/libc.so.6
Anonymous:             0 kB
`
	want := []pages{{0x400000, 0x8ae000}, {0xf00000, 0xf10000}}
	if got := programPages(strings.NewReader(smaps), "/usr/bin/wgnode"); !slices.Equal(got, want) {
		t.Errorf("found %x, not %x", got, want)
	}
}

// TestTrim: the process has less of the program mapped afterwards, and runs on.
func TestTrim(t *testing.T) {
	before := filePages(t)
	trim()
	if after := filePages(t); after >= before {
		t.Errorf("%s of the file before, %s after", before, after)
	}
}

// filePages gives the RssFile line of this process, which has a fixed width.
func filePages(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(text) {
		if rest, ok := bytes.CutPrefix(line, []byte("RssFile:")); ok {
			return string(rest)
		}
	}
	t.Fatal("the kernel does not tell RssFile")
	return ""
}
