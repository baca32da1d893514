package program

import (
	"bytes"
	"io"
	"strings"
	"sync"
)

// tailLimit is how much of a program's standard error is kept.
const tailLimit = 16 << 10

// tail keeps the end of what a program says.
type tail struct {
	mu   sync.Mutex
	said []byte
	mark string        // that ends what it says
	done chan struct{} // closed at the mark
}

// begin forgets everything and waits for a mark.
func (t *tail) begin(mark string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.said, t.mark, t.done = nil, mark, make(chan struct{})
}

// Write never fails.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.said = append(t.said, p...)
	if t.mark != "" {
		if before, _, found := bytes.Cut(t.said, []byte(t.mark)); found {
			t.said, t.mark = before, ""
			close(t.done)
		}
	}
	if over := len(t.said) - tailLimit; over > 0 {
		t.said = append([]byte(nil), t.said[over:]...)
	}
	return len(p), nil
}

// ended is closed when all has been said.
func (t *tail) ended() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.done
}

// String gives what was kept.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(t.said))
}

var _ io.Writer = (*tail)(nil)
