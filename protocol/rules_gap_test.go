package protocol_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"time"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/protocol/protocoltest"
	"github.com/purewire/purewire/timers"
)

// gapCases are about duties that a core can neglect while every plain run still looks right: docs/CONFORMANCE.md names
// them as the only tests that see it.
func init() { ruleCases = append(append(ruleCases, gapCases...), memoryCases...) }

// stubborn is a source whose handshakes all draw the same index, and which gives it a few times more when it is asked
// again. The index stands behind the 32 bytes of the ephemeral key.
type stubborn struct {
	source interface{ Read([]byte) (int, error) }
	index  uint32
	more   int
}

func (s *stubborn) Read(p []byte) (int, error) {
	n, err := s.source.Read(p)
	switch {
	case len(p) > 32:
		binary.LittleEndian.PutUint32(p[32:], s.index)
	case len(p) == 4 && s.more > 0:
		s.more--
		binary.LittleEndian.PutUint32(p, s.index)
	}
	return n, err
}

// counting is an identity that counts its Diffie-Hellman operations.
type counting struct {
	protocol.PrivateKeyHolder
	n int
}

func (c *counting) DH(point [protocol.KeySize]byte) ([protocol.KeySize]byte, error) {
	c.n++
	return c.PrivateKeyHolder.DH(point)
}

var gapCases = []ruleCase{
	{"MSG11AResponderMayHaveIndexZero", "MSG-11", func(r *rig) {
		o := r.peer(1)
		r.send(o.ours("x"))
		msg, s := o.read(r.one(1, "initiation").msg).respond()
		clear(msg[4:8]) // no AEAD covers it
		s.local = 0
		o.says(o.resign(msg))
		s.wants("data to index 0", o.ours("x"))
	}},
	{"CRYPTO13TheStaticKeyIsClamped", "CRYPTO-13", func(r *rig) {
		all := protocol.PrivateKey(bytes.Repeat([]byte{0xff}, 32))
		if k := protocol.NewIdentity(all).PrivateKey(); k[0] != 0xf8 || k[31] != 0x7f || !bytes.Equal(k[1:31], all[1:31]) {
			r.Errorf("the key is %x", k)
		}
	}},
	{"HS08AResponseToASessionIsNoneToItsRekey", "HS-08", func(r *rig) {
		o := r.peer(1)
		s := o.accept()
		i := o.rekey()
		msg, t := i.respond()
		toSession := bytes.Clone(msg)
		binary.LittleEndian.PutUint32(toSession[8:], s.remote) // no AEAD covers it
		o.says(o.resign(toSession))
		r.silent("the right response to the wrong index of the right peer")
		r.dropped(protocol.DropNotPending, 1, "the right response to the wrong index of the right peer")
		o.says(msg)
		t.wants("to the right one", nil)
	}},
	{"HS25AResponseBeingReadIsNotForANewerInitiation", "HS-25 HS-11", func(r *rig) {
		o := r.peer(1)
		r.send(o.ours("x"))
		late, _ := o.read(r.one(1, "initiation").msg).respond()
		r.hold = true
		o.says(late)
		jobs := r.jobs
		r.hold, r.jobs = false, nil
		r.advance(7 * time.Second)
		r.silent("the retry waits for what the response says")
		r.send(o.ours("y"))
		msg, s := o.read(r.one(1, "a new packet does not").msg).respond()
		r.jobs = jobs
		r.release()
		r.silent("the first response is for an initiation that is replaced by now")
		r.dropped(protocol.DropSuperseded, 1, "the first response is for an initiation that is replaced by now")
		o.says(msg)
		s.wants("the second", o.ours("x"), o.ours("y"))
	}},
	{"HS25ARetryBeingMadeIsNotSentAfterTheResponse", "HS-25 TIMER-26", func(r *rig) {
		o := r.peer(1)
		r.send(o.ours("x"))
		msg, s := o.read(r.one(1, "initiation").msg).respond()
		r.hold = true
		r.advance(6 * time.Second)
		jobs := r.jobs
		r.hold, r.jobs = false, nil
		o.says(msg)
		s.wants("the response comes while the retry is made", o.ours("x"))
		r.jobs = jobs
		r.release()
		r.silent("so the retry is not sent")
		r.dropped(protocol.DropSuperseded, 1, "so the retry is not sent")
	}},
	{"COOKIE20NoCurveBeforeTheMACs", "COOKIE-20 DOS-06", func(r *rig) {
		id := &counting{PrivateKeyHolder: r.key}
		r.restart(small, func(c *protocol.Config) { c.Identity = id })
		o := r.peer(1)
		wrong := o.initiation().msg
		wrong[116] ^= 1
		response := o.sign(append([]byte{2}, make([]byte, 59)...))
		free := func(why string, msgs ...[]byte) {
			r.Helper()
			id.n, r.hold, r.jobs = 0, true, nil
			o.says(msgs...)
			if id.n != 0 || len(r.jobs) != 0 {
				r.Errorf("%s: %d Diffie-Hellman operations, %d jobs", why, id.n, len(r.jobs))
			}
			r.hold = false
		}
		free("a wrong mac1", wrong)
		r.burden()
		free("no mac2 under load", o.initiation().msg, response)
		o.cookie = []byte("invented, sorry!")
		free("a wrong mac2 under load", o.initiation().msg, o.resign(response))
		r.forget()
		o.cookie = nil
		o.says(o.initiation().msg)
		o.cookie = o.openCookie(r.one(3, "under load").msg)
		o.says(o.initiation().msg)
		r.one(2, "a right mac2")
		if id.n == 0 {
			r.Errorf("the operations are not counted")
		}
	}},
	{"KEY01ATakenIndexIsDrawnAgain", "KEY-01 KEY-04", func(r *rig) {
		const index = 0xdecade
		source := &stubborn{r.entropy, index, 0}
		r.restart(func(c *protocol.Config) { c.Entropy = source })
		o, p := r.peer(1), r.peer(2)
		r.send(o.ours("x"))
		i := o.read(r.one(1, "initiation").msg)
		if i.sender != index {
			r.Fatalf("the first index is %#x, not the one that was drawn", i.sender)
		}
		source.more = 3
		r.send(p.ours("x"))
		j := p.read(r.one(1, "initiation").msg)
		if j.sender == index || source.more != 0 {
			r.Errorf("the index of a pending handshake is given away again")
		}
		msg, s := i.respond()
		o.says(msg)
		s.wants("the first is not disturbed", o.ours("x"))
		msg, t := j.respond()
		p.says(msg)
		t.wants("nor the second", p.ours("x"))
		if u := r.peer(3).connect(); u.remote == index {
			r.Errorf("the index of a session is given away again")
		}
		o.says(s.data("y"))
		r.delivers("the session of that index", o.theirs("y"))
	}},
	{"KEY08AJobKeepsItsKeyPairThroughARotation", "KEY-08 KEY-06", func(r *rig) {
		o := r.peer(1)
		s1 := o.connect()
		var b protocol.Batch
		r.d.HandlePackets(r.now, []protocol.Packet{protocoltest.Window(o.ours("before"))}, &b)
		open := r.opening(o.at, s1.data("too"))
		r.advance(time.Second)
		o.connect()
		r.worker.Seal(b.Seal)
		counter, plain := s1.open(b.Seal[0].Bytes())
		if want := o.ours("before"); counter != 0 || !bytes.Equal(plain[:len(want)], want) {
			r.Errorf("counter %d, packet %x", counter, plain)
		}
		r.do(func(now timers.Time, b *protocol.Batch) { r.d.HandleOpened(now, open, b) })
		r.delivers("decrypted before the rotation", o.theirs("too"))
	}},
	{"KEY11AnInitiatorsSessionIsAsOldAsItsKeys", "KEY-11", func(r *rig) {
		o := r.peer(1)
		r.send(o.ours("x"))
		msg, s := o.read(r.one(1, "initiation").msg).respond()
		r.advance(4 * time.Second)
		r.hold = true
		o.says(msg)
		r.advance(4 * time.Second)
		r.release() // keys are derived now, 8 s after the initiation and 4 s after the response came
		r.advance(180*time.Second - 1)
		o.says(s.data("179"))
		r.delivers("just before 180 s", o.theirs("179"))
		r.advance(1)
		o.says(s.data("180"))
		r.delivers("at 180 s")
	}},
	{"REPLAY08AReplayMovesNoTimer", "REPLAY-08", func(r *rig) {
		o := r.peer(1)
		s := o.connect()
		seen := s.data("x")
		o.says(seen)
		r.advance(10 * time.Second)
		s.empty("the passive keepalive") // from here on none is due
		r.send(o.ours("nobody answers"))
		r.forget()
		for range 3 {
			r.advance(4 * time.Second)
			o.says(seen)
		}
		r.silent("replays are not data received (T2)")
		r.advance(3*time.Second + timers.MaxJitter)
		r.one(1, "nor a sign of life (T3)")
		p := r.peer(2, keepaliveEvery(10))
		p.mine()
		t := p.connect()
		seen = t.data("x")
		p.says(seen)
		r.advance(10 * time.Second)
		p.mine()
		r.advance(7 * time.Second)
		p.says(seen)
		r.advance(3 * time.Second)
		if all := p.mine(); len(all) != 1 || len(all[0].msg) != 32 {
			r.Errorf("%v 10 s after the last keepalive, want another: a replay is no traversal (T5)", types(all))
		}
	}},
	{"PAD04NothingOfTheBufferLeaks", "PAD-04", func(r *rig) {
		o := r.peer(1)
		s := o.connect()
		for n := range 17 {
			p := o.ours(string(make([]byte, n)))
			for _, apart := range []bool{false, true} { // sealed in place, and into a buffer of the transport's
				in := protocoltest.Window(p)
				copy(in.Buf[in.Off+in.Len:], bytes.Repeat([]byte{0xdb}, protocol.Tailroom))
				var b protocol.Batch
				r.d.HandlePackets(r.now, []protocol.Packet{in}, &b)
				if apart {
					b.Seal[0].Dst = bytes.Repeat([]byte{0xdb}, b.Seal[0].Size())
				}
				r.worker.Seal(b.Seal)
				_, plain := s.open(b.Seal[0].Bytes())
				if want := append(bytes.Clone(p), make([]byte, len(plain)-len(p))...); !bytes.Equal(plain, want) {
					r.Errorf("%d bytes, padded: %x", len(p), plain)
				}
			}
		}
	}},
	{"QUEUE05APacketMakesTheKeepaliveNeedless", "QUEUE-05 QUEUE-06 HS-15", func(r *rig) {
		o, p := r.peer(1, keepaliveEvery(1)), r.peer(2, keepaliveEvery(1))
		all := r.some(1, "for the keepalives, which are due at once and wait for a session")
		r.send(o.ours("x"))
		r.advance(3 * time.Second) // more keepalives are due
		msg, s := o.read(all[0].msg).respond()
		o.says(msg)
		s.wants("the packet alone", o.ours("x"))
		msg, s = p.read(all[1].msg).respond()
		p.says(msg)
		s.empty("one keepalive for all of them")
	}},
	{"SEC05ACookieReplyNeedsAFreshNonce", "SEC-05 COOKIE-16", func(r *rig) {
		r.restart(small)
		o := r.peer(1)
		r.burden()
		o.says(o.initiation().msg)
		r.one(3, "there is a secret")
		r.entropy.Failing = true
		o.says(o.initiation().msg)
		r.silent("but no nonce")
	}},
	{"LIFE09ANewPortKeepsTheSessions", "LIFE-09 ROAM-09", func(r *rig) {
		o := r.peer(1)
		s := o.connect()
		r.d.ForgetSources(r.now, netip.Addr{}) // all that the device is told of it
		r.send(o.ours("out"))
		s.wants("from the new port", o.ours("out"))
		o.says(s.data("in"))
		r.delivers("to the new port", o.theirs("in"))
	}},
}

// memoryCases walk through all that can be reached from a device and look for secrets that should be gone.
var memoryCases = []ruleCase{
	{"SEC03AnInitiatorForgetsTheHandshake", "SEC-03", func(r *rig) {
		r.restart(func(c *protocol.Config) { c.Trace |= protocol.TraceSecrets })
		o := r.peer(1)
		r.send(o.ours("x"))
		i := o.read(r.one(1, "initiation").msg)
		chain, hash, ephemeral := noiseBytes(i.hs, "ck"), noiseBytes(i.hs, "h"), r.ephemeral()
		state := append(r.find(chain), r.find(hash)...)
		if len(state) != 2 {
			r.Fatalf("while the response is awaited the chaining key and the hash are at %v, want one place each", state)
		}
		for _, at := range r.find(ephemeral) { // the parsed key needs its bytes; nobody else does
			if !strings.Contains(at.path, ".ephemeral.") {
				r.Errorf("while the response is awaited the ephemeral key is also at %v", at)
			}
		}
		if len(r.find(ephemeral)) == 0 {
			r.Fatalf("the ephemeral key is not found at all: the walk is no good")
		}
		msg, s := i.respond()
		o.says(msg)
		s.wants("session", o.ours("x"))
		for _, secret := range [][]byte{chain, hash, ephemeral, noiseBytes(i.hs, "ck")} {
			r.gone(secret, "after the handshake")
		}
		for _, at := range state { // unreachable memory, too, was overwritten where it was ours
			if content := flat(at.value); bytes.Contains(content, chain) || bytes.Contains(content, hash) {
				r.Errorf("%s was dropped but not wiped", at.path)
			}
		}
	}},
	{"SEC03AResponderForgetsTheHandshake", "SEC-03", func(r *rig) {
		r.restart(func(c *protocol.Config) { c.Trace |= protocol.TraceSecrets })
		o := r.peer(1)
		h := o.initiation()
		r.hold = true
		o.says(h.msg)
		first := r.jobs
		r.jobs = nil
		r.worker.Shake(first)
		r.do(func(now timers.Time, b *protocol.Batch) { r.d.HandleShaken(now, first, b) })
		r.worker.Shake(r.jobs)
		var before []byte // all that the device holds while its response is ready but not sent
		walk(reflect.ValueOf(r.d), "Device", map[any]bool{}, func(at place) { before = append(before, flat(at.value)...) })
		r.release()
		s := h.complete(r.one(2, "response").msg)
		ephemeral, key := r.ephemeral(), flat(reflect.ValueOf(s.recv))
		if !bytes.Contains(before, ephemeral) || !bytes.Contains(before, key) {
			r.Fatalf("while the job was out its secrets were not found: the walk is no good")
		}
		r.gone(ephemeral, "after the response")
		r.gone(noiseBytes(h.hs, "ck"), "after the response")
		if n := len(r.find(key)); n != 1 {
			r.Errorf("a session key is at %d places, want one", n)
		}
	}},
	{"SEC03AnAbandonedHandshakeIsForgotten", "SEC-03 KEY-13 KEY-14", func(r *rig) {
		o, p, q := r.peer(1), r.peer(2), r.peer(3)
		var chains [][]byte
		for _, x := range []*outsider{o, p, q} {
			r.send(x.ours("x"))
			chains = append(chains, noiseBytes(x.read(r.one(1, "initiation").msg).hs, "ck"))
		}
		r.configure(protocol.Change{Op: protocol.OpRemovePeer, Peer: o.public()})
		r.gone(chains[0], "after removal")
		if len(r.find(chains[1])) != 1 || len(r.find(chains[2])) != 1 {
			r.Fatalf("those of the other peers are not found: the walk is no good")
		}
		r.down()
		r.gone(chains[1], "after down")
		r.gone(chains[2], "after down")
		r.up()
		r.forget()
		r.send(p.ours("x"))
		r.advance(120 * time.Second) // given up
		all := r.some(1, "attempts")
		last := noiseBytes(p.read(all[len(all)-1].msg).hs, "ck")
		r.gone(noiseBytes(p.read(all[0].msg).hs, "ck"), "after it was replaced")
		if len(r.find(last)) != 1 {
			r.Fatalf("the last one is not found: the walk is no good")
		}
		r.advance(540 * time.Second)
		r.gone(last, "540 s after giving up")
	}},
	{"SEC04SessionKeysAreForgottenWithTheirSlot", "SEC-04 KEY-13 KEY-09 LIFE-04", func(r *rig) {
		o := r.peer(1)
		keys := func(s *session) [][]byte {
			both := [][]byte{flat(reflect.ValueOf(s.send)), flat(reflect.ValueOf(s.recv))}
			for _, k := range both {
				if len(k) != 32 || len(r.find(k)) != 1 {
					r.Fatalf("a key of %d bytes is at %v, want one place", len(k), r.find(k))
				}
			}
			return both
		}
		gone := func(both [][]byte, why string) {
			r.Helper()
			r.gone(both[0], why)
			r.gone(both[1], why)
		}
		first := keys(o.connect())
		r.advance(time.Second)
		second := keys(o.connect())
		r.advance(time.Second)
		keys(o.propose())
		gone(first, "a new next drops the previous")
		r.advance(540 * time.Second)
		gone(second, "540 s without a new session")
		third := keys(o.connect())
		r.down()
		gone(third, "down")
		r.up()
		r.advance(time.Second)
		fourth := keys(o.connect())
		r.configure(protocol.Change{Op: protocol.OpRemovePeer, Peer: o.public()})
		gone(fourth, "removal")
	}},
}

// ephemeral gives the part that clamping leaves alone of the ephemeral private key that was used last.
func (r *rig) ephemeral() []byte {
	r.Helper()
	e := r.seen(protocol.EventSecrets)
	return e[len(e)-1].Secret[1:31]
}

// gone demands that a secret is nowhere in the device.
func (r *rig) gone(secret []byte, why string) {
	r.Helper()
	for _, at := range r.find(secret) {
		r.Errorf("%s: a secret is still at %s", why, at.path)
	}
}

// place is an array or slice of numbers and how it is reached.
type place struct {
	path  string
	value reflect.Value
}

// find looks for bytes in all that can be reached from the device, except for the source of entropy, which belongs to
// the test and remembers what it gave.
func (r *rig) find(secret []byte) (found []place) {
	walk(reflect.ValueOf(r.d), "Device", map[any]bool{}, func(at place) {
		if bytes.Contains(flat(at.value), secret) {
			found = append(found, at)
		}
	})
	return found
}

// flat gives the bytes of numbers, in order, and those of the fields and elements of anything else that holds some.
func flat(v reflect.Value) (b []byte) {
	switch v.Kind() {
	case reflect.Uint8:
		return []byte{byte(v.Uint())}
	case reflect.Uint32:
		return binary.LittleEndian.AppendUint32(nil, uint32(v.Uint()))
	case reflect.Uint64:
		return binary.LittleEndian.AppendUint64(nil, v.Uint())
	case reflect.Array, reflect.Slice:
		for i := range v.Len() {
			b = append(b, flat(v.Index(i))...)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			b = append(b, flat(v.Field(i))...)
		}
	case reflect.Pointer:
		return flat(v.Elem())
	}
	return b
}

// walk visits every array and slice of numbers that v leads to.
func walk(v reflect.Value, path string, seen map[any]bool, visit func(place)) {
	switch v.Kind() {
	case reflect.Pointer:
		key := [2]any{v.Pointer(), v.Type()}
		if v.IsNil() || seen[key] || v.Type() == reflect.TypeFor[*protocoltest.Entropy]() {
			return
		}
		seen[key] = true
		walk(v.Elem(), path, seen, visit)
	case reflect.Interface:
		walk(v.Elem(), path, seen, visit)
	case reflect.Struct:
		for i := range v.NumField() {
			walk(v.Field(i), path+"."+v.Type().Field(i).Name, seen, visit)
		}
	case reflect.Map:
		for it := v.MapRange(); it.Next(); {
			walk(it.Value(), fmt.Sprint(path, "[", it.Key(), "]"), seen, visit)
		}
	case reflect.Array, reflect.Slice:
		switch v.Type().Elem().Kind() {
		case reflect.Uint8, reflect.Uint32, reflect.Uint64:
			visit(place{path, v})
			return
		}
		for i := range v.Len() {
			walk(v.Index(i), fmt.Sprint(path, "[", i, "]"), seen, visit)
		}
	}
}

// noiseBytes copies the chaining key ("ck") or the hash ("h") of an outsider's handshake, which the device has too.
func noiseBytes(hs any, name string) []byte {
	return bytes.Clone(reflect.ValueOf(hs).Elem().FieldByName("ss").FieldByName(name).Bytes())
}
