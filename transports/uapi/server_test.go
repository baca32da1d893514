//go:build linux

package uapi

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/purewire/purewire/protocol"
)

// brokenDevice has lost its core.
type brokenDevice struct{}

func (brokenDevice) Configure([]protocol.Change, *uint16, *uint32) error { return errBroken }
func (brokenDevice) View(func(Core, uint16, uint32)) error               { return errBroken }

// "A peer takes part only after the set that makes it is complete" (B161).
func TestHalfSentSetDoesNothing(t *testing.T) {
	r := newRig(t)
	r.core.Up(r.now, &protocol.Batch{})
	r.ok("private_key=" + prv(1) + "\n")
	slow, in := r.dial()
	if _, err := io.WriteString(slow, "set=1\npublic_key="+pub(2)+"\nallowed_ip=10.0.0.0/8\n"); err != nil {
		t.Fatal(err)
	}
	r.ok("fwmark=3\n") // others are served meanwhile
	_, first := outsider(t, 2, 1, 0)
	if got := r.receive(first); got != nil {
		t.Fatalf("a peer of a half-sent set is answered with %d bytes", len(got))
	}
	r.wantNo("public_key")
	if _, err := io.WriteString(slow, "\n"); err != nil {
		t.Fatal(err)
	}
	if got := readAnswer(t, in); got != "errno=0\n\n" {
		t.Fatalf("the completed set: %q", got)
	}
	_, second := outsider(t, 2, 1, time.Minute)
	if got := r.receive(second); len(got) != 92 {
		t.Fatalf("after the set %d bytes answer the initiation", len(got))
	}
}

// A set whose client goes away before the empty line never was, wherever it was cut.
func TestCutOffSetDoesNothing(t *testing.T) {
	r := newRig(t)
	request := "set=1\nprivate_key=" + prv(1) + "\npublic_key=" + pub(2) + "\nallowed_ip=10.0.0.0/8\n\n"
	before := r.state()
	for n := range len(request) {
		conn, in := r.dial()
		if _, err := io.WriteString(conn, request[:n]); err != nil {
			t.Fatal(err)
		}
		if err := conn.(*net.UnixConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(in); err != nil || len(got) > 0 {
			t.Fatalf("cut after %d bytes: %q, %v", n, got, err)
		}
	}
	if after := r.state(); after != before || r.applied+r.refused != 0 {
		t.Fatalf("a cut-off set changed\n%s\nto\n%s", before, after)
	}
}

// Setting the key that is set drops no session (B154, KEY-15), and no update re-creates a peer (LIFE-08).
func TestLIFE08(t *testing.T) {
	r, _ := shaken(t)
	r.ok("private_key=" + prv(1) + "\npublic_key=" + pub(2) + "\npreshared_key=" + pub(5) +
		"\npersistent_keepalive_interval=8\nendpoint=192.0.2.77:7\nreplace_allowed_ips=true\nallowed_ip=::/0\n")
	r.ok("public_key=" + pub(2) + "\nupdate_only=true\nallowed_ip=10.0.0.0/8\n")
	r.with(func(d *protocol.Device) {
		if s, ok := d.Stats(1); !ok || !s.Session || s.RxBytes != 180 || s.LastHandshake.IsZero() {
			t.Errorf("after updates the peer is %+v", s)
		}
	})
}

func TestEndlessRequestIsCutOff(t *testing.T) {
	n := newNode(t, 0)
	path := serve(t, &Server{Device: n, MaxRequest: 1 << 20})
	var clients sync.WaitGroup
	for _, line := range map[string]string{
		"lines":      "fwmark=1\n",
		"mistakes":   "x\n",
		"one line":   strings.Repeat("x", 1000),
		"peers":      "public_key=" + pub(2) + "\n",
		"alternates": "allowed_ip=10.0.0.0/8\nallowed_ip=-10.0.0.0/8\n",
	} {
		for _, first := range []string{"set=1\npublic_key=" + pub(3) + "\n", "get=1\n"} {
			clients.Go(func() {
				endless(t, path, first, line)
			})
		}
	}
	clients.Wait()
	if n.peers() != 0 || n.applied+n.refused != 0 {
		t.Errorf("an endless request reached the device")
	}
}

// endless is a client that never stops.
func endless(t *testing.T, path, first, line string) {
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Error(err)
		return
	}
	defer conn.Close()
	var writer sync.WaitGroup
	writer.Go(func() {
		_, err := io.WriteString(conn, first)
		for err == nil {
			_, err = io.WriteString(conn, strings.Repeat(line, 1+4096/len(line)))
		}
		if !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("lines %.20q: the connection ends with %v", line, err)
		}
	})
	want := "errno=-90\n\n"
	if first == "get=1\n" {
		want = "errno=90\n\n"
	}
	if got, err := io.ReadAll(conn); string(got) != want || err != nil && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("lines %.20q are answered %q, %v", line, got, err)
	}
	writer.Wait()
}

func TestManyClients(t *testing.T) {
	r := newRig(t)
	var all sync.WaitGroup
	for i := range 100 {
		conn, in := r.dial()
		all.Go(func() {
			for range 5 {
				fmt.Fprintf(conn, "set=1\npublic_key=%064x\nallowed_ip=10.0.0.0/8\n\nget=1\n\n", i+1)
				if got := readAnswer(t, in); got != "errno=0\n\n" {
					t.Errorf("client %d: %q", i, got)
				}
				if got := readAnswer(t, in); strings.Count(got, "allowed_ip=10.0.0.0/8\n") != 1 {
					t.Errorf("client %d sees the prefix at %d peers", i, strings.Count(got, "allowed_ip="))
				}
			}
		})
	}
	all.Wait()
	if n := r.peers(); n != 100 {
		t.Errorf("%d peers, want 100", n)
	}
}

// One client too many ends the one that has been silent longest, and nobody else.
func TestSilentClientMakesRoom(t *testing.T) {
	path := serve(t, &Server{Device: newNode(t, 0), MaxClients: 4})
	use := func(conn net.Conn, in *bufio.Reader) error {
		if _, err := io.WriteString(conn, "get=1\n\n"); err != nil {
			return err
		}
		_, err := in.ReadString('\n')
		if err == nil {
			_, err = in.ReadString('\n')
		}
		return err
	}
	var conns [5]net.Conn
	var ins [5]*bufio.Reader
	for i := range 4 {
		conns[i], ins[i] = dialRaw(t, path)
		if err := use(conns[i], ins[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := use(conns[0], ins[0]); err != nil { // now client 1 is the most silent
		t.Fatal(err)
	}
	conns[4], ins[4] = dialRaw(t, path)
	if err := use(conns[4], ins[4]); err != nil {
		t.Fatalf("the fifth of four clients: %v", err)
	}
	for _, i := range []int{0, 2, 3, 4} {
		if err := use(conns[i], ins[i]); err != nil {
			t.Errorf("client %d: %v", i, err)
		}
	}
	if err := use(conns[1], ins[1]); err == nil {
		t.Error("the most silent client is still there")
	}
}

func TestSilenceEnds(t *testing.T) {
	path := serve(t, &Server{Device: newNode(t, 0), Patience: 50 * time.Millisecond})
	idle, answer := dialRaw(t, path) // a program that asks now and then
	for _, request := range []string{"set=1\n", "set=1\nfwmark=1\n", "get=1\n"} {
		conn, in := dialRaw(t, path)
		if _, err := io.WriteString(conn, request); err != nil {
			t.Fatal(err)
		}
		if b, err := in.ReadByte(); err != io.EOF {
			t.Errorf("after %q and silence: %q, %v", request, b, err)
		}
	}
	if _, err := io.WriteString(idle, "get=1\n\n"); err != nil {
		t.Fatal(err)
	}
	if got := readAnswer(t, answer); got != "errno=0\n\n" {
		t.Errorf("after silence between requests: %q", got)
	}
}

// A client that asks and does not read must not keep others from configuring for ever, nor make us hold the answer.
func TestUnreadGetEnds(t *testing.T) {
	n := manyPeers(t, 20000)
	path := serve(t, &Server{Device: n, Patience: 200 * time.Millisecond})
	stuck, _ := dialRaw(t, path)
	if _, err := io.WriteString(stuck, "get=1\n\n"); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(time.Minute)
	viewed := func() int { n.mu.Lock(); defer n.mu.Unlock(); return n.viewed }
	for viewed() == 0 && time.Now().Before(deadline) {
		runtime.Gosched()
	}
	conn, in := dialRaw(t, path)
	if _, err := io.WriteString(conn, "set=1\nfwmark=9\n\n"); err != nil {
		t.Fatal(err)
	}
	if got := readAnswer(t, in); got != "errno=0\n\n" {
		t.Fatalf("a set beside a get that nobody reads: %q", got)
	}
	if got := viewed(); got > 30 {
		t.Errorf("%d pages were read for a client that takes none", got)
	}
	text, err := io.ReadAll(stuck)
	if err != nil || strings.Contains(string(text), "errno") {
		t.Errorf("the unread get got an end, or %v", err)
	}
}

// What is passing does not end the service.
func TestAcceptErrorsPass(t *testing.T) {
	inner, err := net.Listen("unix", t.TempDir()+"/s")
	if err != nil {
		t.Fatal(err)
	}
	l := &faulty{Listener: inner, errs: []error{syscall.EMFILE, syscall.ECONNABORTED, syscall.ENOBUFS}}
	serveOn(t, &Server{Device: newNode(t, 0)}, l)
	conn, in := dialRaw(t, inner.Addr().String())
	if _, err := io.WriteString(conn, "get=1\n\n"); err != nil {
		t.Fatal(err)
	}
	if got := readAnswer(t, in); got != "errno=0\n\n" || len(l.errs) != 0 {
		t.Fatalf("after errors of accept: %q, %d left", got, len(l.errs))
	}
}

type faulty struct {
	net.Listener
	errs []error
}

func (f *faulty) Accept() (net.Conn, error) {
	if len(f.errs) > 0 {
		err := f.errs[0]
		f.errs = f.errs[1:]
		return nil, &net.OpError{Op: "accept", Err: err}
	}
	return f.Listener.Accept()
}
