package wire

import "encoding/binary"

// The views below lie over a caller's buffer: nothing is copied, and what an accessor returns aliases that buffer.
// Integers are little-endian (MSG-10) and any value is a valid index (MSG-11).

// Initiation is a handshake initiation (paper §5.4.2):
//
//	0 type, reserved · 4 sender · 8 ephemeral (32) · 40 static (32+16) · 88 timestamp (12+16) · 116 mac1 · 132 mac2
type Initiation [InitiationSize]byte

// AsInitiation views the first 148 bytes of b; it panics if there are fewer.
func AsInitiation(b []byte) *Initiation { return (*Initiation)(b) }

// Init writes type and reserved bytes (MSG-01, MSG-02) and clears the rest, so that mac2 is zero until there is a
// cookie (COOKIE-04).
func (m *Initiation) Init() { *m = Initiation{0: byte(TypeInitiation)} }

// Sender returns the index by which the initiator knows this handshake.
func (m *Initiation) Sender() uint32 { return binary.LittleEndian.Uint32(m[4:]) }

// SetSender writes the sender index.
func (m *Initiation) SetSender(i uint32) { binary.LittleEndian.PutUint32(m[4:], i) }

// Ephemeral returns the initiator's ephemeral public key.
func (m *Initiation) Ephemeral() *[32]byte { return (*[32]byte)(m[8:]) }

// Static returns the 48 bytes of the initiator's encrypted static key and its tag.
func (m *Initiation) Static() []byte { return m[40:88:88] }

// Timestamp returns the 28 bytes of the encrypted timestamp and its tag.
func (m *Initiation) Timestamp() []byte { return m[88:116:116] }

// MAC1 returns the MAC that every handshake message carries.
func (m *Initiation) MAC1() *[MACSize]byte { return (*[MACSize]byte)(m[InitiationMAC1Offset:]) }

// MAC2 returns the MAC that proves a cookie, or zeros.
func (m *Initiation) MAC2() *[MACSize]byte { return (*[MACSize]byte)(m[InitiationMAC2Offset:]) }

// Response is a handshake response (paper §5.4.3):
//
//	0 type, reserved · 4 sender · 8 receiver · 12 ephemeral (32) · 44 empty (0+16) · 60 mac1 · 76 mac2
type Response [ResponseSize]byte

// AsResponse views the first 92 bytes of b; it panics if there are fewer.
func AsResponse(b []byte) *Response { return (*Response)(b) }

// Init writes type and reserved bytes and clears the rest, as [Initiation.Init] does.
func (m *Response) Init() { *m = Response{0: byte(TypeResponse)} }

// Sender returns the index by which the responder knows this handshake.
func (m *Response) Sender() uint32 { return binary.LittleEndian.Uint32(m[4:]) }

// SetSender writes the sender index.
func (m *Response) SetSender(i uint32) { binary.LittleEndian.PutUint32(m[4:], i) }

// Receiver returns the sender index of the initiation that is answered.
func (m *Response) Receiver() uint32 { return binary.LittleEndian.Uint32(m[8:]) }

// SetReceiver writes the receiver index.
func (m *Response) SetReceiver(i uint32) { binary.LittleEndian.PutUint32(m[8:], i) }

// Ephemeral returns the responder's ephemeral public key.
func (m *Response) Ephemeral() *[32]byte { return (*[32]byte)(m[12:]) }

// Empty returns the 16 bytes that are the tag over nothing.
func (m *Response) Empty() []byte { return m[44:60:60] }

// MAC1 returns the MAC that every handshake message carries.
func (m *Response) MAC1() *[MACSize]byte { return (*[MACSize]byte)(m[ResponseMAC1Offset:]) }

// MAC2 returns the MAC that proves a cookie, or zeros.
func (m *Response) MAC2() *[MACSize]byte { return (*[MACSize]byte)(m[ResponseMAC2Offset:]) }

// CookieReply is a cookie reply (paper §5.4.7):
//
//	0 type, reserved · 4 receiver · 8 nonce (24) · 32 cookie (16+16)
type CookieReply [CookieReplySize]byte

// AsCookieReply views the first 64 bytes of b; it panics if there are fewer.
func AsCookieReply(b []byte) *CookieReply { return (*CookieReply)(b) }

// Init writes type and reserved bytes and clears the rest.
func (m *CookieReply) Init() { *m = CookieReply{0: byte(TypeCookieReply)} }

// Receiver returns the sender index of the message that is answered.
func (m *CookieReply) Receiver() uint32 { return binary.LittleEndian.Uint32(m[4:]) }

// SetReceiver writes the receiver index.
func (m *CookieReply) SetReceiver(i uint32) { binary.LittleEndian.PutUint32(m[4:], i) }

// Nonce returns the XChaCha20-Poly1305 nonce.
func (m *CookieReply) Nonce() *[24]byte { return (*[24]byte)(m[8:]) }

// Cookie returns the 32 bytes of the encrypted cookie and its tag.
func (m *CookieReply) Cookie() []byte { return m[32:64:64] }
