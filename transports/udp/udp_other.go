//go:build !linux

package udp

// Link is a pair of UDP sockets, without what Linux has of its own: no TOS, no
// source addresses, one datagram per system call. It is a [transports.Link] with
// two sources: 0 is IPv4, 1 is IPv6.
type Link struct{ *portable }

// New makes a Link that is not open: Receive waits for Open, Send fails. The options are for Linux.
func New(Options) *Link { return &Link{newPortable(newBind())} }
