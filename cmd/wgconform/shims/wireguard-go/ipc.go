package wireguardgo

import (
	"bytes"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing/synctest"
	"time"

	"golang.zx2c4.com/wireguard/device"
)

// ipcConn is the device's end of a connection to its configuration socket. It gives the device one line at a time, so
// that what a line did is known when the next is read.
type ipcConn struct {
	l      *life
	signal chan struct{}
	line   []byte // what was read since the last end of line; of the reading goroutine

	mu      sync.Mutex
	in      []byte
	out     bytes.Buffer
	setting bool // a set operation has begun and was not answered
	gone    bool // the other end closed
	ended   bool // this end closed
}

// errHalf is the answer to who asks while a set operation on another connection waits for its end: wireguard-go holds
// ipcMutex from its first line on, and would let everybody else wait, this shim too.
var errHalf = errors.New("wireguard-go answers nobody while half a request waits on another connection")

// connect opens a connection that the device serves.
func (l *life) connect() *ipcConn {
	c := &ipcConn{l: l, signal: make(chan struct{}, 1)}
	l.ipc = append(l.ipc, c)
	go l.dev.IpcHandle(c)
	return c
}

func (c *ipcConn) change(f func()) {
	c.mu.Lock()
	f()
	c.mu.Unlock()
	select {
	case c.signal <- struct{}{}:
	default:
	}
}

// converse sends text and gives all that the device says before it waits for more; ended means that it closed.
func (c *ipcConn) converse(text string) (answer string, ended bool, err error) {
	for _, o := range c.l.ipc {
		if o != c && o.busy() {
			return "", false, errHalf
		}
	}
	c.change(func() { c.in = append(c.in, text...) })
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	answer = c.out.String()
	c.out.Reset()
	return answer, c.ended, nil
}

func (c *ipcConn) busy() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.setting && !c.ended
}

// hangUp closes the other end.
func (c *ipcConn) hangUp() {
	c.change(func() { c.gone = true })
	synctest.Wait()
	c.l.ipc = slices.DeleteFunc(c.l.ipc, func(o *ipcConn) bool { return o == c })
}

// Read implements net.Conn for the device.
func (c *ipcConn) Read(p []byte) (int, error) {
	if line, ended := strings.CutSuffix(string(c.line), "\n"); ended {
		c.after(line)
		c.line = c.line[:0]
	}
	for {
		c.mu.Lock()
		if n := len(c.in); n > 0 {
			if end := bytes.IndexByte(c.in, '\n'); end >= 0 {
				n = end + 1
			}
			n = copy(p, c.in[:n])
			c.setting = c.setting || string(c.in[:n]) == "set=1\n"
			c.line = append(c.line, p[:n]...)
			c.in = c.in[n:]
			c.mu.Unlock()
			return n, nil
		}
		over := c.gone || c.ended
		c.mu.Unlock()
		if over {
			return 0, io.EOF
		}
		<-c.signal
	}
}

// after looks at what a line has done.
func (c *ipcConn) after(line string) {
	var k device.NoisePublicKey
	if key, ok := strings.CutPrefix(line, "public_key="); ok && k.FromHex(key) == nil {
		c.l.disarm(k)
	}
}

// Write implements net.Conn for the device.
func (c *ipcConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.setting = false
	return c.out.Write(p)
}

// Close implements net.Conn for the device.
func (c *ipcConn) Close() error {
	c.change(func() { c.ended = true })
	return nil
}

func (c *ipcConn) LocalAddr() net.Addr              { return &net.UnixAddr{Name: "shim", Net: "unix"} }
func (c *ipcConn) RemoteAddr() net.Addr             { return c.LocalAddr() }
func (c *ipcConn) SetDeadline(time.Time) error      { return nil }
func (c *ipcConn) SetReadDeadline(time.Time) error  { return nil }
func (c *ipcConn) SetWriteDeadline(time.Time) error { return nil }
