//go:build !linux && !darwin && !freebsd && !openbsd && !windows

package uapi

import (
	"errors"
	"fmt"
	"net"
)

const (
	directory = "/var/run/wireguard" // where wg(8) looks
	maxName   = 15
)

// Path gives the control socket of an interface.
func Path(name string) string { return directory + "/" + name + ".sock" }

// Listen fails: here are no interfaces to control. A Server still serves connections that come some other way.
func Listen(name string) (net.Listener, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("uapi: listening on %s: %w", Path(name), errors.ErrUnsupported)
}
