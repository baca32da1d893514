package main

import (
	"fmt"
	"net"
	"os"
)

// notifier tells a service manager how far we are (sd_notify(3)): datagrams of lines on a socket that it names.
type notifier struct{ socket string }

// newNotifier takes the value of NOTIFY_SOCKET; without one it tells nobody.
func newNotifier(socket string) notifier { return notifier{socket} }

// ready says that the interface can be used, and who does it: not the process that was started, if that made a daemon.
func (n notifier) ready(status string) error {
	return n.send(fmt.Sprintf("READY=1\nMAINPID=%d\nSTATUS=%s\n", os.Getpid(), status))
}

// stopping says that we end by our own will.
func (n notifier) stopping() error { return n.send("STOPPING=1\n") }

func (n notifier) send(lines string) error {
	if n.socket == "" {
		return nil
	}
	// A name that begins with @ is in the abstract namespace, here as in NOTIFY_SOCKET.
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: n.socket, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("NOTIFY_SOCKET: %w", err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte(lines)); err != nil {
		return fmt.Errorf("NOTIFY_SOCKET: %w", err)
	}
	return nil
}
