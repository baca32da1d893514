package conformance

import (
	"bufio"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

// UAPI is a connection to the subject's configuration socket, at the level of its text (rules UAPI).
type UAPI struct {
	t    *T
	conn net.Conn
	in   *bufio.Reader
}

// UAPIReply is an answer: its lines up to the empty one, in order.
type UAPIReply struct {
	Lines  []UAPILine
	Errno  int    // as it was sent, with its sign
	Errnos int    // how many errno lines there were
	Raw    string // everything, the empty line included
}

// UAPILine is one key=value. Of a line without "=" only the key is set.
type UAPILine struct{ Key, Value string }

// uapiPatience is how long a request, and then each line of its answer, may take in real time. A whole answer has no
// limit: that of a subject with a thousand peers on a busy machine takes its time.
const uapiPatience = 5 * time.Second

// UAPI gives a connection, which is opened by the first request and closed when the case is over. One that says
// nothing is never left open: boringtun serves nobody else, and changes nothing, while it waits for a request.
func (t *T) UAPI() *UAPI {
	u := &UAPI{t: t}
	t.Cleanup(u.Close)
	return u
}

func (u *UAPI) dial() {
	u.t.use(func(s Subject) {
		us, ok := s.(UAPISubject)
		if !ok {
			u.t.Unsupported("the target has no configuration socket")
		}
		conn, err := us.UAPI()
		u.t.must("open its configuration socket", err)
		u.conn, u.in = conn, bufio.NewReader(conn)
	})
}

// Close ends the connection. The next request opens another.
func (u *UAPI) Close() {
	if u.conn != nil {
		u.conn.Close()
		u.conn = nil
	}
}

// Write sends text as it is, on the connection that there is.
func (u *UAPI) Write(text string) error {
	if u.conn == nil {
		u.dial()
	}
	u.t.Note("UAPI > %q", text)
	if err := u.conn.SetDeadline(time.Now().Add(uapiPatience)); err != nil {
		return err
	}
	from := u.t.Now()
	_, err := u.conn.Write([]byte(text))
	u.t.last = Stamp{from, u.t.Now()}
	return err
}

// Read reads one answer. The error is that of the connection, io.EOF if the subject closed it.
func (u *UAPI) Read() (r UAPIReply, err error) {
	defer func() {
		u.t.last.Latest = u.t.Now()
		u.t.Note("UAPI < %q", r.Raw)
		u.t.process()
	}()
	for {
		if err := u.conn.SetDeadline(time.Now().Add(uapiPatience)); err != nil {
			return r, err
		}
		line, err := u.in.ReadString('\n')
		r.Raw += line
		if err != nil || line == "\n" {
			return r, err
		}
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		r.Lines = append(r.Lines, UAPILine{key, value})
		if key == "errno" {
			r.Errnos++
			r.Errno, _ = strconv.Atoi(value)
		}
	}
}

// Do sends a request, which must end with an empty line, and reads its answer. It fails if there is none. Each request
// has a connection of its own, since not every implementation takes a second one (UAPI-06).
func (u *UAPI) Do(request string) UAPIReply {
	u.Close()
	defer u.Close()
	err := u.Write(request)
	var r UAPIReply
	if err == nil {
		r, err = u.Read()
	}
	if err != nil {
		u.t.Fail("an answer that ends with an empty line", fmt.Sprintf("%q, then %v", r.Raw, err))
	}
	if r.Errnos != 1 {
		u.t.Fail("an answer with one errno", fmt.Sprintf("%d of them in %q", r.Errnos, r.Raw))
	}
	return r
}

// Set sends "set=1", the lines and the empty line, and gives the errno without its sign (OPEN-6).
func (u *UAPI) Set(lines ...string) int {
	errno := u.Do("set=1\n" + strings.Join(append(lines, ""), "\n") + "\n").Errno
	return max(errno, -errno)
}

// Get asks for everything and fails unless that works.
func (u *UAPI) Get() UAPIReply {
	r := u.Do("get=1\n\n")
	if r.Errno != 0 {
		u.t.Fail("errno=0 in the answer to a get", strconv.Itoa(r.Errno))
	}
	return r
}

// Value is that of the first line with a key, of the device.
func (r UAPIReply) Value(key string) (value string, ok bool) {
	for _, l := range r.Lines {
		if l.Key == "public_key" {
			break
		}
		if l.Key == key {
			return l.Value, true
		}
	}
	return "", false
}

// Peer gives the lines of one peer's section, without its public_key; ok is false if there is none.
func (r UAPIReply) Peer(k Key) (lines []UAPILine, ok bool) {
	in, want := false, Hex(k)
	for _, l := range r.Lines {
		switch {
		case l.Key == "public_key":
			in = l.Value == want
			ok = ok || in
		case in && l.Key != "errno":
			lines = append(lines, l)
		}
	}
	return lines, ok
}

// Hex writes a key as the configuration protocol does.
func Hex(k Key) string { return fmt.Sprintf("%x", k[:]) }
