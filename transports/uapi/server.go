package uapi

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Server answers requests for one Device. Set the fields before Serve; one Serve at a time.
type Server struct {
	Device Device
	Logger *slog.Logger // refused requests, at debug level and never with a value; nil: nowhere

	// MaxRequest bounds the memory of one set, in bytes: a byte of text counts as one and a change as 128 more; the
	// parsed form takes about twice that. 0: 256 MiB, enough for 2^20 peers.
	MaxRequest int
	// MaxClients bounds the connections. One too many ends the one that has kept us waiting longest. 0: 128.
	MaxClients int
	// Patience is how long a client may be silent within a request, or take nothing of an answer, before its connection
	// is closed. A get keeps sets waiting until it is read. Between requests there is no limit. 0: a minute for
	// silence, 5 seconds for taking nothing.
	Patience time.Duration

	config sync.RWMutex // held by a get from its first line to its last, so that no set comes in between (UAPI-36)

	mu      sync.Mutex
	clients map[*client]bool
}

const (
	maxLine    = 8 << 10 // bytes of a line, more than any value can have; also the read buffer
	changeCost = 128     // see Server.MaxRequest
	drainTime  = time.Second
)

// Serve accepts connections from l until ctx is done or l fails, then closes l and all connections and waits for
// their requests. It returns nil if it was ctx, else the error of l: ErrGone if the socket's file disappeared
// (LIFE-11).
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	var handlers sync.WaitGroup
	err := s.accept(ctx, l, &handlers)
	l.Close()
	s.mu.Lock()
	for c := range s.clients {
		c.Close()
	}
	s.mu.Unlock()
	handlers.Wait()
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (s *Server) accept(ctx context.Context, l net.Listener, handlers *sync.WaitGroup) error {
	for {
		conn, err := l.Accept()
		if passing(err) { // out of descriptors, or the client has gone: no reason to end
			select {
			case <-ctx.Done():
			case <-time.After(100 * time.Millisecond):
			}
			continue
		}
		if err != nil {
			return err
		}
		c := &client{Conn: conn, server: s}
		s.admit(c)
		handlers.Go(func() {
			defer s.dismiss(c)
			s.handle(c)
		})
	}
}

func passing(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) || errors.Is(err, syscall.ENOMEM) ||
		errors.Is(err, syscall.ENOBUFS) || errors.Is(err, syscall.ECONNABORTED)
}

// client is a connection with the limits on time.
type client struct {
	net.Conn
	server *Server
	since  time.Time // it keeps us waiting; zero: we work for it. Guarded by Server.mu
	idle   bool      // no request has begun
}

func (c *client) waiting(since time.Time) {
	c.server.mu.Lock()
	c.since = since
	c.server.mu.Unlock()
}

// Read waits for the client, within a request no longer than Patience.
func (c *client) Read(p []byte) (int, error) {
	now := time.Now()
	c.waiting(now)
	defer c.waiting(time.Time{})
	var until time.Time
	if !c.idle {
		until = now.Add(cmp.Or(c.server.Patience, time.Minute))
	}
	if err := c.SetReadDeadline(until); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

// Write is not used for more than a page at once, so the deadline is one for progress.
func (c *client) Write(p []byte) (int, error) {
	now := time.Now()
	c.waiting(now)
	defer c.waiting(time.Time{})
	if err := c.SetWriteDeadline(now.Add(cmp.Or(c.server.Patience, 5*time.Second))); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

// admit takes a client in, and shows out the one that has kept us waiting longest if there are too many.
func (s *Server) admit(c *client) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.clients == nil {
		s.clients = map[*client]bool{}
	}
	limit := cmp.Or(s.MaxClients, 128)
	if len(s.clients) >= limit {
		var slowest *client
		for o := range s.clients {
			if !o.since.IsZero() && (slowest == nil || o.since.Before(slowest.since)) {
				slowest = o
			}
		}
		if slowest == nil {
			slowest = c // all are being served
		}
		slowest.Close()
		delete(s.clients, slowest)
	}
	if c.since = time.Now(); len(s.clients) < limit {
		s.clients[c] = true
	}
}

func (s *Server) dismiss(c *client) {
	c.Close()
	s.mu.Lock()
	delete(s.clients, c)
	s.mu.Unlock()
}

// handle answers one request after another (UAPI-06) until the client has had enough, or cannot be followed.
func (s *Server) handle(c *client) {
	in := bufio.NewReaderSize(c, maxLine)
	for {
		c.idle = true
		first, err := in.ReadSlice('\n')
		c.idle = false
		if err != nil && err != bufio.ErrBufferFull {
			return
		}
		switch string(first) {
		case "set=1\n":
			err = s.set(c, in)
		case "get=1\n":
			err = s.get(c, in)
		default:
			s.refuseFirst(c, first)
			return
		}
		if err != nil {
			return
		}
	}
}

// refuseFirst answers a first line that is no request (UAPI-07). What follows cannot be told from a request, so the
// connection ends.
func (s *Server) refuseFirst(c *client, first []byte) {
	e := &Error{Errno: errnoProtocol, Line: 1, Reason: "not a request", endless: true}
	sign := -1
	if name, _, ok := bytes.Cut(first, []byte{'='}); ok {
		e.Errno = errnoInvalid
		if string(name) == "get" {
			sign = 1
		}
	}
	_ = s.answer(c, nil, sign, e) // the connection ends either way
}

// drain lets a client that is still writing finish and read our answer: a closed connection would kill it with
// SIGPIPE, or lose the answer.
func (c *client) drain() {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite() // best effort, the connection ends all the same
	}
	if err := c.SetReadDeadline(time.Now().Add(drainTime)); err == nil {
		_, _ = io.Copy(io.Discard, c.Conn)
	}
}

// set reads a request to its end, applies it and answers (UAPI-03). Its error means that the connection is at an end.
func (s *Server) set(c *client, in *bufio.Reader) error {
	p := newParser()
	refused, err := s.readLines(in, func(line []byte) (int, error) {
		err := p.line(line)
		return changeCost * len(p.Changes), err
	})
	if err != nil {
		return err // it has no end: nothing is applied, and nobody is there to be told
	}
	if refused == nil {
		s.config.Lock()
		err := s.Device.Configure(p.Changes, p.Port, p.Mark)
		s.config.Unlock()
		if err != nil {
			refused = asError(err)
		}
	}
	return s.answer(c, nil, -1, refused) // negative: docs/decisions/0006
}

// answer writes what is left of an answer and how it went. sign is that of errno. A request without an end cannot be
// skipped, so it is the last one.
func (s *Server) answer(c *client, text []byte, sign int, refused *Error) error {
	n := 0
	if refused != nil {
		n = refused.Errno
		if s.Logger != nil {
			s.Logger.Debug("configuration request refused", "errno", n, "line", refused.Line, "reason", refused.Reason)
		}
	}
	// errno comes last and once (UAPI-02, UAPI-39); 0 is success (UAPI-04).
	text = append(text, "errno="...)
	text = append(strconv.AppendInt(text, int64(sign*n), 10), "\n\n"...)
	if _, err := c.Write(text); err != nil {
		return err
	}
	if refused != nil && refused.endless {
		c.drain()
		return refused
	}
	return nil
}

// readLines gives the lines up to the empty one to take, which says what they have cost so far in memory. The first
// mistake is what counts; the lines behind it are read so that the connection stays in step. Its error means that the
// request has no end.
func (s *Server) readLines(in *bufio.Reader, take func([]byte) (int, error)) (refused *Error, err error) {
	limit := cmp.Or(s.MaxRequest, 256<<20)
	for number, text, cost := 2, 0, 0; ; number++ {
		line, err := in.ReadSlice('\n')
		tooLong := err == bufio.ErrBufferFull
		for err == bufio.ErrBufferFull && text <= limit {
			text += len(line)
			clear(line)
			line, err = in.ReadSlice('\n')
		}
		if text += len(line); text+cost > limit {
			return &Error{Errno: errnoTooLarge, Line: number, Reason: "the request is too large", endless: true}, nil
		}
		var mistake error
		switch {
		case err != nil:
			return nil, err
		case tooLong:
			mistake = invalid("a line that is too long")
		case len(line) == 1:
			return refused, nil
		case refused == nil:
			cost, mistake = take(line[:len(line)-1])
		}
		clear(line) // it may hold a key (SEC-06)
		if mistake != nil && refused == nil {
			refused, cost = asError(mistake), 0
			refused.Line = number
		}
	}
}

// ErrGone is the error of a listener whose socket file was removed or replaced: nobody can reach it any more, so the
// process has no reason to go on (LIFE-11).
var ErrGone = errors.New("uapi: the socket's file is gone")

// ErrInUse is the error of Open for a name that another process serves.
var ErrInUse = errors.New("uapi: another process serves this interface")

// checkName refuses what could not be the name of an interface and might be a path.
func checkName(name string) error {
	if name == "" || len(name) > maxName || name == "." || name == ".." || strings.ContainsAny(name, "/\\\x00") {
		return fmt.Errorf("uapi: %q is not the name of an interface", name)
	}
	return nil
}
