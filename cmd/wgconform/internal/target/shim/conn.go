package shim

import (
	"io"
	"net"
	"os"
	"time"
)

// conn is a connection to the configuration socket of a shim. Nothing happens behind it between two requests, so that
// a read that finds nothing has timed out already.
type conn struct {
	s      *subject
	number int
	used   bool
	unread string
	eof    bool
	closed bool
}

// Write sends b and keeps what is answered.
func (c *conn) Write(b []byte) (int, error) {
	if c.closed || c.eof {
		return 0, io.ErrClosedPipe
	}
	if len(b) == 0 {
		return 0, nil
	}
	c.used = true
	answer, eof, err := c.s.talk(c.number, string(b), false)
	if err != nil {
		return 0, err
	}
	c.unread += answer
	c.eof = eof
	return len(b), nil
}

// Read gives what was answered so far.
func (c *conn) Read(b []byte) (int, error) {
	switch {
	case c.closed:
		return 0, io.ErrClosedPipe
	case c.unread != "":
		n := copy(b, c.unread)
		c.unread = c.unread[n:]
		return n, nil
	case c.eof:
		return 0, io.EOF
	}
	return 0, os.ErrDeadlineExceeded
}

// Close tells the shim, if it knows of the connection.
func (c *conn) Close() error {
	if c.closed || !c.used {
		c.closed = true
		return nil
	}
	c.closed = true
	_, _, err := c.s.talk(c.number, "", true)
	return err
}

func (c *conn) LocalAddr() net.Addr              { return &net.UnixAddr{Name: "shim", Net: "unix"} }
func (c *conn) RemoteAddr() net.Addr             { return &net.UnixAddr{Name: "shim", Net: "unix"} }
func (c *conn) SetDeadline(time.Time) error      { return nil }
func (c *conn) SetReadDeadline(time.Time) error  { return nil }
func (c *conn) SetWriteDeadline(time.Time) error { return nil }
