package protocol

import (
	"runtime"
	"testing"
	"weak"
)

// Nothing that a caller holds on to while idle, a Reset batch, keeps a removed peer or its keys alive (SEC-04, B172).
func TestSEC04ResetLetsGo(t *testing.T) {
	s := newBench(t)
	s.fill()
	s.seal()
	s.open()
	s.bb.Reset()
	s.fill()
	s.seal()
	s.open() // jobs, deliveries and all lie in the batch
	p := weak.Make(s.b.peers[0].peer)
	k := weak.Make(s.b.peers[0].peer.current())
	if err := s.b.Configure(s.now, []Change{{Op: OpRemovePeers}}, &s.bb); err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	if p.Value() == nil {
		t.Fatal("the peer is gone before Reset: this test can find nothing")
	}
	if ss := p.Value().ss.Secret; ss != [KeySize]byte{} {
		t.Error("the static-static secret of a removed peer is still there")
	}
	s.bb.Reset()
	runtime.GC()
	runtime.GC()
	if p.Value() != nil || k.Value() != nil {
		t.Errorf("after Reset the batch keeps the peer (%v) or its key pair (%v) alive", p.Value() != nil, k.Value() != nil)
	}
	runtime.KeepAlive(s)
}
