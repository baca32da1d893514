package realtime

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/purewire/purewire/protocol/conformance"
)

// takePort has conformance.TakenPort of the subject's host for as long as the subject lives.
func (s *Subject) takePort() error {
	return Inside(s.network, func() error {
		for _, a := range []unix.Sockaddr{&unix.SockaddrInet4{Port: conformance.TakenPort},
			&unix.SockaddrInet6{Port: conformance.TakenPort}} {
			family := unix.AF_INET
			if _, six := a.(*unix.SockaddrInet6); six {
				family = unix.AF_INET6
			}
			fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
			if errors.Is(err, unix.EAFNOSUPPORT) {
				continue // a kernel without IPv6
			}
			if err != nil {
				return fmt.Errorf("socket: %w", err)
			}
			s.taken = append(s.taken, fd)
			if family == unix.AF_INET6 {
				err = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1)
			}
			if err = errors.Join(err, unix.Bind(fd, a)); err != nil {
				return fmt.Errorf("taking port %d: %w", conformance.TakenPort, err)
			}
		}
		return nil
	})
}
