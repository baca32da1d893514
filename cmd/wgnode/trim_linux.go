package main

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// trim gives back the pages of the program file that starting up has touched: reading the command line, registering
// metrics and message types and the like map most of it, and serving an interface needs a tenth. What is needed again
// is mapped again, from the page cache. It is no harm if it does not work.
func trim() {
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		return
	}
	defer f.Close()
	exe, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	for _, m := range programPages(f, exe) {
		// By number, because no Go slice may point there.
		_, _, _ = unix.Syscall(unix.SYS_MADVISE, m.from, m.to-m.from, unix.MADV_DONTNEED)
	}
}

// pages is an area of addresses.
type pages struct{ from, to uintptr }

// programPages finds, in a /proc/PID/smaps, what of the file exe is mapped read-only and as it is in the file. The
// loader may have written to other parts, and would not do it again.
func programPages(smaps io.Reader, exe string) (found []pages) {
	var last pages
	lines := bufio.NewScanner(smaps)
	for lines.Scan() {
		line := lines.Text()
		if rest, ok := strings.CutPrefix(line, "Anonymous:"); ok {
			if last != (pages{}) && strings.TrimSpace(rest) == "0 kB" {
				found = append(found, last)
			}
			last = pages{}
			continue
		}
		if head, path, ok := bytes.Cut([]byte(line), []byte("/")); ok && "/"+string(path) == exe {
			last = readOnlyArea(string(head))
		}
	}
	return found
}

// readOnlyArea reads the first line of an entry: "from-to perm offset device inode"; zero if it is writable.
func readOnlyArea(head string) pages {
	words := strings.Fields(head)
	if len(words) < 2 || strings.Contains(words[1], "w") {
		return pages{}
	}
	from, to, _ := strings.Cut(words[0], "-")
	a, err := strconv.ParseUint(from, 16, strconv.IntSize)
	b, err2 := strconv.ParseUint(to, 16, strconv.IntSize)
	if err != nil || err2 != nil || b <= a {
		return pages{}
	}
	return pages{uintptr(a), uintptr(b)}
}
