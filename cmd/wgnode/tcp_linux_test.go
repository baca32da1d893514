package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"
)

// streamBytes is how much goes one way in a TCP test, and littleBytes where less will do.
const (
	streamBytes = 64 << 20
	littleBytes = 16 << 20
)

// stream is data that both ends can make: what is received must be it. The helpers' second argument is its length.
func stream(args []string) (io.Reader, int64, error) {
	n, err := strconv.ParseInt(args[1], 10, 64)
	return io.LimitReader(rand.NewChaCha8([32]byte{'w', 'g'}), n), n, err
}

// take listens on an address, says so, and compares what it is sent with the stream; then it answers with one byte.
func take(args []string) error {
	data, length, err := stream(args)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", args[0])
	if err != nil {
		return err
	}
	fmt.Println("listening")
	conn, err := l.Accept()
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(2 * patience)); err != nil {
		return err
	}
	got, want := sha256.New(), sha256.New()
	if _, err := io.Copy(want, data); err != nil {
		return err
	}
	if n, err := io.CopyN(got, conn, length); err != nil {
		return fmt.Errorf("after %d bytes: %w", n, err)
	}
	if !bytes.Equal(got.Sum(nil), want.Sum(nil)) {
		return errors.New("other bytes arrived than were sent")
	}
	_, err = conn.Write([]byte{1})
	return err
}

// send sends the stream to an address and waits for the answer.
func send(args []string) error {
	data, _, err := stream(args)
	if err != nil {
		return err
	}
	conn, err := net.DialTimeout("tcp", args[0], patience)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(2 * patience)); err != nil {
		return err
	}
	if _, err := io.Copy(conn, data); err != nil {
		return err
	}
	_, err = io.ReadFull(conn, make([]byte, 1))
	return err
}

// transfer sends the stream from one host to an address of another, and does something meanwhile.
func transfer(from, to *side, address string, meanwhile func()) error {
	return transferBytes(streamBytes, from, to, address, meanwhile)
}

func transferBytes(length int, from, to *side, address string, meanwhile func()) error {
	args := []string{address, strconv.Itoa(length)}
	server := to.helper("take", args...)
	var failed bytes.Buffer
	server.Stderr = &failed
	out, err := server.StdoutPipe()
	if err != nil {
		return err
	}
	if err := server.Start(); err != nil {
		return err
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		return fmt.Errorf("%q %w %s", line, err, failed.String())
	}
	sent := make(chan error, 1)
	go func() {
		text, err := from.helper("send", args...).CombinedOutput()
		if err != nil {
			err = fmt.Errorf("send: %w %s", err, text)
		}
		sent <- err
	}()
	meanwhile()
	if err := <-sent; err != nil {
		_ = server.Process.Kill()
		_ = server.Wait()
		return err
	}
	if err := server.Wait(); err != nil {
		return fmt.Errorf("take: %w %s", err, failed.String())
	}
	return nil
}

// TCP arrives as it was sent, both ways, in IPv4 and IPv6, with whatever segmentation offload the hosts do.
func TestTunnelTCP(t *testing.T) {
	against(t, func(t *testing.T, peer string) {
		noted(t, "TCP both ways, IPv4 and IPv6", peer)
		a, b := tunnel(t, [2]string{"wgnode", peer}, outer4, true)
		for _, c := range []struct {
			from, to *side
			address  string
		}{{a, b, "10.0.0.2:7000"}, {b, a, "10.0.0.1:7000"}, {a, b, "[fd00::2]:7000"}, {b, a, "[fd00::1]:7000"}} {
			start := time.Now()
			if err := transfer(c.from, c.to, c.address, func() {}); err != nil {
				t.Fatalf("%s to %s %s: %v", c.from.program, c.to.program, c.address, err)
			}
			took := time.Since(start).Seconds()
			t.Logf("%s to %s: %.0f Mbit/s", c.from.program, c.address, streamBytes*8/took/1e6)
		}
	})
}

// A host changes its address in the middle of a transfer, which goes on.
func TestTunnelRoamingUnderLoad(t *testing.T) {
	against(t, func(t *testing.T, peer string) {
		orders(t, peer, func(t *testing.T, programs [2]string) {
			noted(t, "roaming of "+whose(programs)+" in the middle of a TCP transfer", peer)
			a, b := tunnel(t, programs, outer4, false)
			a.pings("10.0.0.2")
			if err := transfer(a, b, "10.0.0.2:7000", func() { move(a) }); err != nil {
				t.Fatal(err)
			}
			b.eventually("the new endpoint", func() bool {
				return strings.Contains(b.run("wg", "show", "wg0", "endpoints"), "192.0.2.77:5000")
			})
		})
	})
}
