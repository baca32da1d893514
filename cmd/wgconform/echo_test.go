package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"time"
)

// udpEcho is a command of the tests: it sends every datagram back that comes to one of the addresses, which may appear
// later.
func udpEcho() {
	failed := make(chan error)
	for _, a := range os.Args[1:] {
		go func() { failed <- echoOn(a) }()
	}
	fmt.Fprintln(os.Stderr, "echo:", <-failed)
	os.Exit(1)
}

func echoOn(address string) error {
	var c net.PacketConn
	err := errors.New("no time")
	for end := time.Now().Add(30 * time.Second); err != nil && time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		c, err = net.ListenPacket("udp", address)
	}
	if err != nil {
		return err
	}
	b := make([]byte, 1<<16)
	for {
		n, from, err := c.ReadFrom(b)
		if err != nil {
			return err
		}
		_, _ = c.WriteTo(b[:n], from) // what cannot be sent is lost
	}
}
