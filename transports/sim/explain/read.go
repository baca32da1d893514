package explain

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/pcapgo"
)

// Source is a capture: a pcap (gzip-compressed or not) or pcapng file. It is read once, from start to end.
type Source struct {
	Name string // for messages and packet references
	Data io.Reader
}

// frame is a packet as captured. Its data are the caller's only until the next frame.
type frame struct {
	ref  Ref
	at   int64 // nanoseconds since 1970, by the clock of its tap
	tap  int   // index into the captures' taps
	link uint32
	data []byte
	full int // length on the wire; len(data) if nothing was cut
}

// Ref names a packet: the number of the file (from 1) and the packet's number in it as Wireshark counts.
type Ref struct {
	File   int `json:"file"`
	Packet int `json:"packet"`
}

// tap is a point of capture: an interface of a file.
type tap struct {
	file   int
	iface  int
	below  int // the interface that a cooked capture on "any" tells
	name   string
	offset int64 // to be added to its times, to get those of the first tap
}

// captures reads several files as one.
type captures struct {
	taps    []tap
	secrets []byte
	cut     int // frames that the capture did not keep whole
	frames  int
}

// pcapngMagic is the block type of a section header, the same in both byte orders.
const pcapngMagic = 0x0a0d0d0a

// read gives each frame of the source to take.
func (c *captures) read(file int, s Source, take func(*frame) error) error {
	in := bufio.NewReaderSize(s.Data, 1<<16)
	head, err := in.Peek(4)
	if err != nil {
		return fmt.Errorf("%s: it is no capture: only %d bytes long", s.Name, len(head))
	}
	if binary.LittleEndian.Uint32(head) == pcapngMagic {
		return c.readNg(file, s.Name, in, take)
	}
	r, err := pcapgo.NewReader(in)
	if err != nil {
		return fmt.Errorf("%s: it is neither pcap nor pcapng: %w", s.Name, lower(err))
	}
	next := func() ([]byte, gopacket.CaptureInfo, error) { return r.ZeroCopyReadPacketData() }
	return c.loop(file, s.Name, next, take, func(gopacket.CaptureInfo) (uint32, string) {
		return uint32(r.LinkType()), ""
	})
}

func (c *captures) readNg(file int, name string, in io.Reader, take func(*frame) error) error {
	scan := &secretScanner{}
	r, err := pcapgo.NewNgReader(io.TeeReader(in, scan),
		pcapgo.NgReaderOptions{WantMixedLinkType: true, SkipUnknownVersion: true})
	if errors.Is(err, io.EOF) {
		return nil // a section without interfaces: nothing was captured
	}
	if err != nil {
		return fmt.Errorf("%s: it is no whole pcapng file: %w", name, lower(err))
	}
	next := func() ([]byte, gopacket.CaptureInfo, error) { return r.ZeroCopyReadPacketData() }
	err = c.loop(file, name, next, take, func(ci gopacket.CaptureInfo) (uint32, string) {
		i, err := r.Interface(ci.InterfaceIndex)
		if err != nil {
			return 0, ""
		}
		return uint32(i.LinkType), i.Name
	})
	c.secrets = append(c.secrets, scan.found...)
	return err
}

// loop numbers the frames and finds their taps. A file that ends in the middle of a packet, as those of killed programs
// do, is used up to there.
func (c *captures) loop(file int, name string, next func() ([]byte, gopacket.CaptureInfo, error),
	take func(*frame) error, about func(gopacket.CaptureInfo) (uint32, string)) error {
	for n := 1; ; n++ {
		data, ci, err := next()
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: packet %d: %w", name, n, lower(err))
		}
		link, iface := about(ci)
		f := frame{
			ref: Ref{file, n}, at: ci.Timestamp.UnixNano(), tap: c.tapOf(tap{file: file, iface: ci.InterfaceIndex, name: iface}),
			link: link, data: data, full: max(ci.Length, len(data)),
		}
		c.frames++
		if f.full > len(data) {
			c.cut++
		}
		if err := take(&f); err != nil {
			return err
		}
	}
}

// tapOf gives the index of the tap t, whose offset does not count.
func (c *captures) tapOf(t tap) int {
	for i := range c.taps {
		if o := &c.taps[i]; o.file == t.file && o.iface == t.iface && o.below == t.below {
			return i
		}
	}
	c.taps = append(c.taps, t)
	return len(c.taps) - 1
}

// lower makes an error of a library fit behind a colon.
func lower(err error) error {
	s := err.Error()
	if s == "" {
		return err
	}
	return errors.New(strings.ToLower(s[:1]) + s[1:])
}

// secretScanner is fed a pcapng file and keeps the WireGuard key log of its Decryption Secrets Blocks, which the
// library
// reads but does not hand out.
type secretScanner struct {
	found []byte
	big   bool
	head  []byte // of a block, up to 12 bytes
	keep  bool
	left  int // bytes of the block still to come
	block []byte
}

// Block and secrets types of pcapng.
const (
	secretsBlock   = 10
	wireguardLog   = 0x57474b4c
	maxSecretBlock = 64 << 20
)

// Write looks at the next bytes of the file. It never fails: what is no pcapng is for the reader to complain about.
func (s *secretScanner) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		if s.left > 0 {
			k := min(s.left, len(p))
			if s.keep {
				s.block = append(s.block, p[:k]...)
			}
			p, s.left = p[k:], s.left-k
			if s.left == 0 {
				s.done()
			}
			continue
		}
		k := min(12-len(s.head), len(p))
		s.head, p = append(s.head, p[:k]...), p[k:]
		if len(s.head) == 12 {
			s.start()
		}
	}
	return n, nil
}

func (s *secretScanner) order() binary.ByteOrder {
	if s.big {
		return binary.BigEndian
	}
	return binary.LittleEndian
}

func (s *secretScanner) start() {
	if binary.LittleEndian.Uint32(s.head) == pcapngMagic {
		s.big = binary.BigEndian.Uint32(s.head[8:]) == 0x1a2b3c4d
	}
	size := int(s.order().Uint32(s.head[4:]))
	s.keep = s.order().Uint32(s.head) == secretsBlock && size <= maxSecretBlock &&
		s.order().Uint32(s.head[8:]) == wireguardLog
	s.left, s.head, s.block = max(size-12, 0), s.head[:0], nil
}

// done takes the lines out of a whole block: length of the secrets, the secrets, padding, options, length.
func (s *secretScanner) done() {
	if !s.keep || len(s.block) < 4 {
		return
	}
	size := int(s.order().Uint32(s.block))
	if size <= len(s.block)-4 {
		s.found = append(s.found, s.block[4:4+size]...)
		s.found = append(s.found, '\n')
	}
}
