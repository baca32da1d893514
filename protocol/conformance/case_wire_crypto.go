package conformance

import (
	"bytes"
	"crypto/hmac"
	"errors"
	"hash"
	"slices"
	"time"

	"golang.org/x/crypto/blake2s"
	"golang.org/x/crypto/chacha20poly1305"

	"github.com/purewire/purewire/protocol/conformance/peer"
)

// agree is Peer.Handshake as a question of its own: the session comes up and carries a packet each way.
func agree(t *T, p *Peer) (s *Session) {
	if t.Case.Role == Initiator {
		packet := p.Outbound()
		t.Inject(packet)
		g := p.Expect(Initiation, t.Soon())
		s = p.Reply(g)
		p.Expect(Data.On(s).Carrying(packet), t.Soon())
	} else {
		s = answered(t, p, peer.Spec{})
		s.Keepalive()
		s.Fetch(p.Outbound())
	}
	s.Deliver(p.Inbound())
	return s
}

// answered initiates and expects a response that completes the handshake.
func answered(t *T, p *Peer, spec peer.Spec) *Session {
	i := p.Initiate(spec)
	p.Send(i.Bytes)
	return p.Expect(Response.That("response that completes the handshake", func(g *Got) bool {
		return g.Answers == i && g.Session != nil
	}), t.Soon()).Session
}

const whyPrimitives = "Two ends that differ here never understand each other; two that are wrong alike do, and " +
	"nobody notices until a third comes."

var cryptoCases = slices.Concat(
	bothRoles(Case{
		ID: "wire/crypto/key-schedule", Rules: []string{"CRYPTO-01", "CRYPTO-04", "CRYPTO-07"}, Level: Must,
		Isolation: Shared, Needs: NeedConfigure | NeedInner, Lasts: 3 * time.Second,
		Title: "A handshake with an independent implementation gives both ends the same keys", Why: whyPrimitives,
		Run: func(t *T) { agree(t, t.Peer()) },
	}),
	[]Case{
		{
			ID: "wire/crypto/other-identifier", Rules: []string{"CRYPTO-02"}, Level: Must, Isolation: Shared,
			Needs: NeedConfigure, Lasts: 4 * time.Second,
			Title: "Only the identifier of WireGuard version 1 is answered",
			Why:   "It keeps handshakes of other protocols on the same keys apart from these.",
			Run: func(t *T) {
				p := t.Peer()
				for _, other := range []string{peer.Prologue + "\x00", "WireGuard v2 zx2c4 Jason@zx2c4.com", " "} {
					p.Send(p.Initiate(peer.Spec{Prologue: other}).Bytes)
					t.Wait(30 * time.Millisecond)
				}
				p.SilenceStill(AnyDatagram, 500*time.Millisecond)
				answered(t, p, peer.Spec{})
			},
		},
		{
			ID: "wire/crypto/mac-function", Rules: []string{"CRYPTO-03", "CRYPTO-05"}, Level: Must, Isolation: Shared,
			Needs: NeedConfigure, Lasts: 4 * time.Second,
			Title: "mac1 is keyed BLAKE2s of 16 bytes, under its label, and nothing like it is taken",
			Why:   "HMAC, a cut digest of 32 bytes and another label look the same and are something else.",
			Run:   macFunction,
		},
		{
			ID: "wire/crypto/mac-sent", Rules: []string{"CRYPTO-03", "CRYPTO-05"}, Level: Must, Isolation: Shared,
			Needs: NeedConfigure | NeedInner, Lasts: 3 * time.Second, Bug: "B025 (gotatun)",
			Title: "mac1 of what the subject sends is right",
			Why:   "Its receiver drops the message unread otherwise.",
			Run: func(t *T) {
				p := t.Peer()
				p.Send(p.Initiate(peer.Spec{}).Bytes)
				g := p.Expect(Response, t.Soon())
				t.Check(g.MAC1, "the right mac1 on a response", "another")
				g, _ = provoked(t, t.Peer())
				t.Check(g.MAC1, "the right mac1 on an initiation", "another")
			},
		},
		{
			ID: "wire/crypto/nonce", Rules: []string{"CRYPTO-06", "MSG-10"}, Level: Must, Isolation: Shared,
			Needs: NeedConfigure | NeedInner, Lasts: 4 * time.Second,
			Title: "The nonce is the counter with all its 64 bits, little-endian",
			Why:   "Who uses fewer bits, or turns them round, works for 256 messages and then no more.",
			Run: func(t *T) {
				p := t.Peer()
				s := p.Connect()
				for _, n := range []uint64{1, 255, 256, 1 << 16, 0x01020304, 1 << 32, 0x0102030405060708} {
					packet := p.Inbound()
					p.Send(s.SealAt(n, pad(packet)))
					t.Note("counter %#x", n)
					t.Expect(Delivery.Carrying(packet), t.Soon())
				}
			},
		},
		{
			ID: "wire/crypto/nonce-sent", Rules: []string{"CRYPTO-06"}, Level: Must, Isolation: Shared,
			Needs: NeedConfigure | NeedInner, Lasts: 4 * time.Second,
			Title: "The subject's messages authenticate with counters over 255",
			Why:   "Who uses eight bits of the counter works for 256 messages and then no more.",
			Run: func(t *T) {
				p := t.Peer()
				s := p.Connect()
				for range 10 {
					var packets [][]byte
					for range 30 {
						packets = append(packets, p.Outbound())
					}
					t.Inject(packets...)
					t.Wait(10 * time.Millisecond)
				}
				p.Expect(Data.On(s).That("data with a counter over 280", func(g *Got) bool { return g.Counter > 280 }),
					t.Soon())
			},
		},
		{
			ID: "wire/crypto/no-additional-data", Rules: []string{"CRYPTO-08"}, Level: Must, Isolation: Shared,
			Needs: NeedConfigure | NeedInner, Lasts: 3 * time.Second,
			Title: "Transport messages authenticate without additional data", Why: whyPrimitives,
			Run: func(t *T) {
				p := t.Peer()
				s := p.Connect()
				b := s.Seal(make([]byte, 640))
				aead, err := chacha20poly1305.New(s.SendKey[:])
				if err != nil {
					t.Broken("%v", err)
				}
				nonce := append(make([]byte, 4), b[8:16]...)
				packet := IP(p.Inner4, t.Host4, 253, t.Text(620))
				p.Send(aead.Seal(bytes.Clone(b[:16]), nonce, packet, b[:16])) // the header as additional data
				t.SilenceStill(Delivery, 300*time.Millisecond)
				s.Deliver(IP(p.Inner4, t.Host4, 253, t.Text(620)))
			},
		},
		{
			ID: "wire/crypto/cookie-opened", Rules: []string{"CRYPTO-09"}, Level: Must, Isolation: Shared,
			Needs: NeedConfigure | NeedInner, Lasts: 8 * time.Second,
			Title: "A cookie reply made by XChaCha20-Poly1305 with mac1 as additional data is understood",
			Why:   "Who cannot read it has no handshake with a peer under load.",
			Run: func(t *T) {
				p := t.Peer()
				g, _ := provoked(t, p)
				cookie := t.Text(16)
				p.Send(p.CookieReply(g, cookie))
				next := p.Expect(Initiation, t.Due(Retransmit, g.At))
				t.Check(peer.CheckMAC2(next.Bytes, cookie), "mac2 made with the cookie", show(next.Bytes[132:]))
			},
		},
		{
			ID: "wire/crypto/cookie-made", Rules: []string{"CRYPTO-09"}, Level: Must, Isolation: QuietMachine,
			Needs: NeedConfigure | NeedLoad, Lasts: 3 * time.Second, Setup: SlowHandshakes,
			Title: "A cookie reply is XChaCha20-Poly1305 with mac1 as additional data",
			Why:   "Who cannot read it has no handshake with the subject while that is under load.",
			Run: func(t *T) {
				p := t.Peer()
				t.Overload()
				p.Send(p.Initiate(peer.Spec{}).Bytes)
				g := p.Expect(CookieReply, t.Soon())
				t.Check(len(g.Cookie) == 16, "a cookie of 16 bytes under the key and mac1 of the message",
					"a reply that does not authenticate")
			},
		},
		{
			ID: "wire/crypto/clamped", Rules: []string{"CRYPTO-13"}, Level: Must, Isolation: OwnInstance,
			Needs: NeedConfigure | NeedInterface, Lasts: 1 * time.Second,
			Title: "A private key that is not clamped works as if it were",
			Why:   "Keys are 32 random bytes wherever they come from; the public key that others know is the clamped one's.",
			Run: func(t *T) {
				p := t.Peer()
				k := Key(peer.NewPair(t.Random).Private)
				k[0], k[31] = k[0]|7, k[31]&0x3f|0x80
				t.Configure(Change{PrivateKey: &k})
				answered(t, p, peer.Spec{})
			},
		},
		{
			ID: "wire/crypto/fresh-response-ephemeral", Rules: []string{"CRYPTO-13"}, Level: Must, Isolation: Shared,
			Needs: NeedConfigure, Lasts: 3 * time.Second,
			Title: "Every response has an ephemeral key of its own",
			Why:   "Forward secrecy is gone with a key that is used twice.",
			Run: func(t *T) {
				p := t.Peer()
				seen := map[Key]bool{}
				for range 4 {
					p.Send(p.Initiate(peer.Spec{}).Bytes)
					g := p.Expect(Response, t.Soon())
					e := Key(g.Bytes[12:44])
					t.Check(!seen[e] && e != (Key{}), "an ephemeral key that was not there before", show(e))
					seen[e] = true
					t.Wait(apart(t))
					t.Take(Response.To(p))
				}
			},
		},
	},
	bothRoles(Case{
		ID: "wire/crypto/top-bit-of-ephemeral", Rules: []string{"CRYPTO-10"}, Level: Must, Isolation: Shared,
		Needs: NeedConfigure | NeedInner, Lasts: 3 * time.Second,
		Title: "An ephemeral key with its top bit set is hashed as it came",
		Why:   "The bit does not matter to the curve, but it does to the hash: who clears it first has another transcript.",
		Run: func(t *T) {
			p := t.Peer()
			e := peer.NewPair(t.Random)
			e.Public[31] |= 0x80
			if t.Case.Role == Initiator {
				g, packet := provoked(t, p)
				r, s := p.Respond(g, peer.Spec{Ephemeral: &e})
				completes(t, p, r, s, packet)
				return
			}
			answered(t, p, peer.Spec{Ephemeral: &e})
		},
	}),
	bothRoles(Case{
		ID: "wire/crypto/low-order-ephemeral", Rules: []string{"CRYPTO-11"}, Level: Must, Isolation: Shared,
		Needs: NeedConfigure | NeedInner, Lasts: 5 * time.Second,
		Title: "An ephemeral key of low order is refused",
		Why: "Its products are zero whatever the other key is: everybody who sees the messages can compute what they " +
			"were to hide.",
		Run: lowOrderEphemeral,
	}),
	bothRoles(Case{
		ID: "wire/crypto/low-order-static", Rules: []string{"CRYPTO-12"}, Level: Must, Isolation: OwnInstance,
		Needs: NeedConfigure | NeedInner, Lasts: 3 * time.Second,
		Title: "With a peer whose public key is of low order there is no handshake",
		Why:   "Everybody can speak for such a key, so a tunnel to it is a tunnel to anybody.",
		Run:   lowOrderStatic,
	}),
)

func macFunction(t *T) {
	p := t.Peer()
	key := peer.LabelKey(peer.LabelMAC1, t.Key)
	forge := func(what string, h func() (hash.Hash, error), spec peer.Spec) {
		i := p.Initiate(spec)
		if h != nil {
			f, err := h()
			if err != nil {
				t.Broken("%v", err)
			}
			f.Write(i.Bytes[:116])
			copy(i.Bytes[116:132], f.Sum(nil))
		}
		t.Note("mac1 by %s", what)
		p.Send(i.Bytes)
		t.Wait(30 * time.Millisecond)
	}
	forge("the first half of a keyed digest of 32 bytes", func() (hash.Hash, error) { return blake2s.New256(key[:]) },
		peer.Spec{})
	forge("HMAC", func() (hash.Hash, error) { return hmac.New(plain256, key[:]), nil }, peer.Spec{})
	forge("the label of cookies", nil, peer.Spec{MAC1Label: peer.LabelCookie})
	forge("the sender's public key", nil, peer.Spec{MAC1To: &p.Party.Static.Public})
	p.SilenceStill(AnyDatagram, time.Second)
	answered(t, p, peer.Spec{})
}

// plain256 is BLAKE2s-256 without a key.
func plain256() hash.Hash {
	h, err := blake2s.New256(nil)
	if err != nil {
		panic(err) // there is none without a key
	}
	return h
}

func lowOrderEphemeral(t *T) {
	p := t.Peer()
	var g *Got
	var packet []byte
	if t.Case.Role == Initiator {
		g, packet = provoked(t, p)
	}
	for _, point := range peer.LowOrderPoints() {
		e := peer.LowOrderPair(point)
		if g != nil {
			r, _ := p.Respond(g, peer.Spec{Ephemeral: &e})
			p.Send(r.Bytes)
		} else {
			p.Send(p.Initiate(peer.Spec{Ephemeral: &e}).Bytes)
		}
		t.Wait(120 * time.Millisecond) // some take a peer with more than ten a second for a flood
	}
	if g == nil {
		p.SilenceStill(AnyDatagram, time.Second)
		t.Premise(func() { p.Connect() })
		return
	}
	p.SilenceStill(Transport, time.Second)
	r, s := p.Respond(g, peer.Spec{})
	completes(t, p, r, s, packet)
}

func lowOrderStatic(t *T) {
	points := peer.LowOrderPoints()
	for _, n := range []int{0, 1, 2, 3, 4} {
		static := peer.LowOrderPair(points[n])
		p := t.NewPeer(PeerOptions{Stranger: true, Static: &static})
		err := t.TryConfigure(Change{Peers: []PeerChange{{PublicKey: static.Public, Endpoint: &p.Addr,
			ReplaceAllowedIPs: true, AllowedIPs: p.Allowed}}})
		if errors.Is(err, errors.ErrUnsupported) {
			t.Unsupported(err.Error())
		}
		t.Note("peer %x…: %v", points[n][:4], err) // to refuse the key is as good
		if t.Case.Role == Initiator {
			t.Inject(p.Outbound())
		} else {
			p.Send(p.Initiate(peer.Spec{}).Bytes)
		}
		t.Wait(30 * time.Millisecond)
	}
	t.Silence(Handshake, 2*time.Second)
}

var pskCases = slices.Concat(
	bothRoles(Case{
		ID: "wire/psk/used", Rules: []string{"CRYPTO-14"}, Level: Must, Isolation: Shared,
		Needs: NeedConfigure | NeedInner, Lasts: 3 * time.Second, Bug: "B006 (esp_wireguard)",
		Title: "A preshared key that both ends have is mixed in",
		Why:   "It is what still protects the traffic when the curve is broken. With another formula no handshake completes.",
		Run: func(t *T) {
			agree(t, t.NewPeer(PeerOptions{PSK: drawKey(t)}))
		},
	}),
	bothRoles(Case{
		ID: "wire/psk/zeros-are-none", Rules: []string{"CRYPTO-14"}, Level: Must, Isolation: Shared,
		Needs: NeedConfigure | NeedInner, Lasts: 3 * time.Second,
		Title: "A preshared key that was taken away is 32 zero bytes again",
		Why:   "The step is never left out: no key is a key of zeros.",
		Run: func(t *T) {
			p := t.NewPeer(PeerOptions{PSK: drawKey(t)})
			p.Configure(PeerChange{PresharedKey: &Key{}})
			p.Party.PSK = Key{}
			agree(t, p)
		},
	}),
	bothRoles(Case{
		ID: "wire/psk/set-later", Rules: []string{"CRYPTO-16"}, Level: Must, Isolation: Shared,
		Needs: NeedConfigure | NeedInner, Lasts: 3 * time.Second, Bug: "B007 (NepTUN), B008 (gotatun)",
		Title: "A preshared key set on a peer that exists is used in the next handshake",
		Why:   "Its owner believes to be protected, and the configuration says so.",
		Run: func(t *T) {
			p := t.Peer()
			p.Party.PSK = drawKey(t)
			psk := Key(p.Party.PSK)
			p.Configure(PeerChange{PresharedKey: &psk})
			agree(t, p)
		},
	}),
	bothRoles(Case{
		ID: "wire/psk/change-keeps-session", Rules: []string{"CRYPTO-16"}, Level: Must, Isolation: Shared,
		Needs: NeedConfigure | NeedInner, Lasts: 4 * time.Second, Bug: "B009 (gotatun)",
		Title: "Setting the preshared key, to the same or another, leaves the running session alone",
		Why:   "It is set on both ends at different times, often over the tunnel itself.",
		Run: func(t *T) {
			psk, other := drawKey(t), drawKey(t)
			p := t.NewPeer(PeerOptions{PSK: psk})
			s := p.Handshake()
			for _, k := range []Key{psk, other} {
				p.Configure(PeerChange{PresharedKey: &k})
				s.Deliver(p.Inbound())
				s.Fetch(p.Outbound())
			}
		},
	}),
	[]Case{
		{
			ID: "wire/psk/mismatch/responder", Rules: []string{"CRYPTO-15"}, Level: Must, Isolation: Shared,
			Needs: NeedConfigure, Lasts: 3 * time.Second,
			Title: "A response under a preshared key does not authenticate without it",
			Why:   "If it did, the key would not be in it, and would protect nothing.",
			Run: func(t *T) {
				p := t.NewPeer(PeerOptions{PSK: drawKey(t)})
				p.Send(p.Initiate(peer.Spec{PSK: &peer.Key{}}).Bytes)
				g := p.Expect(Response, t.Soon())
				t.Check(g.Session == nil, "a response that cannot be read without the preshared key", "one that can")
				t.Wait(apart(t))
				t.Premise(func() { answered(t, p, peer.Spec{}) })
			},
		},
		{
			ID: "wire/psk/mismatch/initiator", Rules: []string{"CRYPTO-15"}, Level: Must, Isolation: Shared,
			Needs: NeedConfigure | NeedInner, Lasts: 8 * time.Second,
			Title: "A response made with another preshared key is refused, and the initiation repeated",
			Why:   "If it were taken, the key would protect nothing.",
			Run: func(t *T) {
				p := t.NewPeer(PeerOptions{PSK: drawKey(t)})
				g, packet := provoked(t, p)
				for _, k := range []Key{{}, drawKey(t)} {
					r, _ := p.Respond(g, peer.Spec{PSK: (*peer.Key)(&k)})
					p.Send(r.Bytes)
				}
				p.SilenceStill(Transport, time.Second)
				next := p.Expect(Initiation, t.Due(Retransmit, g.At))
				r, s := p.Respond(next, peer.Spec{})
				t.Premise(func() { completes(t, p, r, s, packet) })
			},
		},
	},
)

// drawKey draws a preshared key.
func drawKey(t *T) Key { return Key(peer.NewPair(t.Random).Private) }
