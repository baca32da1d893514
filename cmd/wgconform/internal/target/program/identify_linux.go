package program

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"debug/buildinfo"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// identity is what a program is.
type identity struct {
	version string // for the reports, with the beginning of its SHA-256
	kind    string // of tolerances
}

// identify finds out what a program is from its file, and from what it says to --version if the file does not tell.
func identify(ctx context.Context, path string) (id identity, err error) {
	sum, polls, err := scan(path)
	if err != nil {
		return id, err
	}
	id.kind = "kernel" // the widest for programs that nothing is known of
	info, err := buildinfo.ReadFile(path)
	switch {
	case err == nil:
		id.kind, id.version = "go", info.Main.Path+" "+info.Main.Version+" "+info.GoVersion
	case polls:
		id.kind = "poll250"
		fallthrough
	default:
		id.version = asked(ctx, path)
	}
	id.version = strings.TrimSpace(id.version + " sha256:" + sum)
	return id, nil
}

// scan reads a program's file: its checksum, and whether it is of boringtun's family, which looks at its timers every
// 250 ms (rules.md §0.4).
func scan(path string) (sum string, polls bool, err error) {
	f, err := os.Open(path)
	if err != nil {
		return "", false, err
	}
	defer f.Close()
	hash := sha256.New()
	r := bufio.NewReaderSize(io.TeeReader(f, hash), 1<<20)
	for {
		line, err := r.ReadSlice('\n')
		for _, name := range []string{"boringtun", "gotatun", "neptun"} {
			polls = polls || bytes.Contains(line, []byte(name))
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return "", false, err
		}
	}
	return fmt.Sprintf("%x", hash.Sum(nil)[:8]), polls, nil
}

// asked is the first line of what a program says to --version, in namespaces without a network. A program that does
// not know the word may do anything with it, so it has a second.
func asked(ctx context.Context, path string) string {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	c := exec.CommandContext(ctx, path, "--version")
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL,
		Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID}
	out, err := c.Output()
	line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	if err != nil || line == "" {
		return filepath.Base(path)
	}
	return line
}
