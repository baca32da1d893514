package shim

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"github.com/purewire/purewire/protocol/conformance"
)

// line is a connection to a subject's configuration socket: our end of a net.Pipe.
type line struct {
	net.Conn
	ended bool
}

func (l *line) close() {
	if l.Conn != nil {
		l.Close()
	}
}

// talk is the op uapi.
func (i *instance) talk(connection int, text string, end bool) (answer string, eof bool, err error) {
	if t, ok := i.s.(Talker); ok {
		return t.Talk(connection, text, end)
	}
	l := i.lines[connection]
	if l == nil {
		s, ok := i.s.(conformance.UAPISubject)
		if !ok {
			return "", false, fmt.Errorf("a configuration socket: %w", errors.ErrUnsupported)
		}
		conn, err := s.UAPI()
		if err != nil {
			return "", false, err
		}
		l = &line{Conn: conn}
		i.lines[connection] = l
	}
	if !l.ended && text != "" {
		answer, err = l.exchange(text)
	}
	if end {
		l.close()
		delete(i.lines, connection)
	}
	return answer, l.ended, err
}

// exchange sends text and reads until the other end waits for more, or has closed. A write of nothing to a net.Pipe
// ends when somebody reads from it: then all that came before was read, and answered.
func (l *line) exchange(text string) (string, error) {
	if err := l.SetReadDeadline(time.Time{}); err != nil {
		return "", err
	}
	written := make(chan error, 1)
	go func() {
		_, err := l.Write([]byte(text))
		if err == nil {
			_, err = l.Write(nil)
		}
		// Ends our reading. That of a closed pipe has ended already, and takes no deadline.
		if e := l.SetReadDeadline(time.Unix(1, 0)); err == nil {
			err = e
		}
		written <- err
	}()
	var answer strings.Builder
	_, err := io.Copy(&answer, l.Conn)
	if err == nil || errors.Is(err, io.ErrClosedPipe) { // the end of it, whoever made it
		l.ended = true
		<-written
		return answer.String(), nil
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return answer.String(), err
	}
	if err := <-written; err != nil && !errors.Is(err, io.ErrClosedPipe) {
		return answer.String(), err
	}
	return answer.String(), nil
}
