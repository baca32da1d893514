package realtime

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"

	"golang.org/x/sys/unix"
)

// A tap sees every packet of a network namespace, with the kernel's time stamps.
type tap struct {
	fd      int
	buffer  []byte
	control []byte
}

// A sight is a packet that the tap saw. Its bytes are valid until the next one.
type sight struct {
	link     int   // index of the interface
	outgoing bool  // the host sends it
	wall     int64 // when, on CLOCK_REALTIME in nanoseconds
	mark     uint32
	ether    uint16 // EtherType
	virtio   virtio
	bytes    []byte
}

// openTap opens a tap in a network namespace.
func openTap(namespace int) (*tap, error) {
	t := &tap{fd: -1, buffer: make([]byte, 1<<17), control: make([]byte, 512)}
	err := Inside(namespace, func() (err error) {
		// No protocol yet: nothing comes in before all options are set.
		t.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("packet socket: %w", err)
	}
	for _, o := range []struct{ level, name, value int }{
		{unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 64 << 20}, // a flood waits here while the suite thinks
		{unix.SOL_SOCKET, unix.SO_TIMESTAMPING, unix.SOF_TIMESTAMPING_RX_SOFTWARE | unix.SOF_TIMESTAMPING_SOFTWARE |
			unix.SOF_TIMESTAMPING_RX_HARDWARE | unix.SOF_TIMESTAMPING_RAW_HARDWARE},
		{unix.SOL_SOCKET, unix.SO_RCVMARK, 1},
		{unix.SOL_PACKET, unix.PACKET_VNET_HDR, 1},
	} {
		if err := unix.SetsockoptInt(t.fd, o.level, o.name, o.value); err != nil {
			return nil, errors.Join(fmt.Errorf("packet socket: option %d/%d: %w", o.level, o.name, err), t.close())
		}
	}
	if err := unix.Bind(t.fd, &unix.SockaddrLinklayer{Protocol: bits.ReverseBytes16(unix.ETH_P_ALL)}); err != nil {
		return nil, errors.Join(fmt.Errorf("packet socket: %w", err), t.close())
	}
	return t, nil
}

func (t *tap) close() error { return unix.Close(t.fd) }

// next reads a packet if there is one.
func (t *tap) next() (s sight, ok bool) {
	for {
		n, c, _, from, err := unix.RecvmsgBuffers(t.fd, [][]byte{t.buffer}, t.control, unix.MSG_DONTWAIT)
		switch {
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENETDOWN):
			continue // EINVAL: a packet whose offloads cannot be told; ENETDOWN: news about an interface
		case err != nil:
			return s, false
		}
		link, of := from.(*unix.SockaddrLinklayer)
		if !of || n < virtioLength {
			continue
		}
		s = sight{link: link.Ifindex, outgoing: link.Pkttype == unix.PACKET_OUTGOING,
			ether: bits.ReverseBytes16(link.Protocol), virtio: readVirtio(t.buffer), bytes: t.buffer[virtioLength:n]}
		t.ancillary(&s, t.control[:c])
		if link.Hatype == unix.ARPHRD_ETHER || link.Hatype == unix.ARPHRD_LOOPBACK {
			if len(s.bytes) < etherHeader {
				continue
			}
			s.bytes = s.bytes[etherHeader:]
			s.virtio.checkStart -= min(s.virtio.checkStart, etherHeader)
		}
		return s, true
	}
}

// ancillary reads what comes with a packet.
func (t *tap) ancillary(s *sight, control []byte) {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return
	}
	for _, m := range messages {
		if m.Header.Level != unix.SOL_SOCKET {
			continue
		}
		switch {
		case m.Header.Type == unix.SCM_TIMESTAMPING && len(m.Data) >= 48:
			// struct scm_timestamping: software, unused, hardware.
			for _, at := range []int{0, 32} {
				second, nano := binary.NativeEndian.Uint64(m.Data[at:]), binary.NativeEndian.Uint64(m.Data[at+8:])
				if second != 0 {
					s.wall = int64(second)*1e9 + int64(nano)
					break
				}
			}
		case m.Header.Type == unix.SO_MARK && len(m.Data) >= 4:
			s.mark = binary.NativeEndian.Uint32(m.Data)
		}
	}
}

// lost tells how many packets found no room since the last call.
func (t *tap) lost() uint32 {
	s, err := unix.GetsockoptTpacketStats(t.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS)
	if err != nil {
		return 0
	}
	return s.Drops
}

// An injector writes packets to interfaces and reads none.
type injector struct{ fd int }

func openInjector(namespace int) (*injector, error) {
	i := &injector{fd: -1}
	err := Inside(namespace, func() (err error) {
		i.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("packet socket: %w", err)
	}
	return i, nil
}

func (i *injector) close() error { return unix.Close(i.fd) }

// send writes a packet to an interface, as the host would.
func (i *injector) send(link int, ether uint16, packet []byte) error {
	to := &unix.SockaddrLinklayer{Ifindex: link, Protocol: bits.ReverseBytes16(ether)}
	for {
		err := unix.Sendto(i.fd, packet, 0, to)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
