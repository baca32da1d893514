package main

import (
	"bytes"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/purewire/purewire/cmd/internal/shell"
	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/protocol/eventlog"
	"github.com/purewire/purewire/protocol/protocoltest"
)

// recording is what a device writes that wants a handshake for a packet; closed says whether it ends as it should.
func recording(t *testing.T, closed bool) []byte {
	var log bytes.Buffer
	r, err := eventlog.NewRecorder(&log, nil, protocol.Config{Identity: protocoltest.Identity("a", 1),
		Entropy: protocoltest.NewEntropy(1, "replay"), Limits: protocol.Limits{Jobs: 8}})
	if err != nil {
		t.Fatal(err)
	}
	var b protocol.Batch
	var w protocol.Worker
	at := netip.MustParseAddrPort("[fe80::1]:1")
	err = r.Configure(1, []protocol.Change{{Op: protocol.OpAddPeer, Peer: protocoltest.Identity("b", 1).PublicKey(),
		Endpoint: &at, EndpointIfIndex: 3, AllowedIPs: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}}}, &b)
	if err != nil {
		t.Fatal(err)
	}
	r.Up(2, &b)
	packet := protocoltest.UDP(netip.MustParseAddrPort("10.0.0.1:1"), netip.MustParseAddrPort("10.0.0.2:2"), []byte("x"))
	r.HandlePackets(3, []protocol.Packet{protocoltest.Window(packet)}, &b)
	w.Shake(b.Handshakes)
	r.HandleShaken(4, b.Handshakes, &b)
	if len(b.Datagrams) != 1 {
		t.Fatalf("%d initiations in the recording", len(b.Datagrams))
	}
	if closed {
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return log.Bytes()
}

func TestReplay(t *testing.T) {
	whole := recording(t, true)
	other := bytes.Clone(whole)
	other[len(other)-20] ^= 1 // in the last answer
	for _, c := range []struct {
		name   string
		log    []byte
		status int
		out    string // on stdout, or on stderr if the status is not 0
	}{
		{"whole", whole, 0, "identical: 4 calls"},
		{"cut", recording(t, false), 0, "without having been closed"},
		{"changed", other, 1, "replay differs at call"},
		{"junk", []byte("no recording at all"), 2, "wgsim: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "log")
			if err := os.WriteFile(file, c.log, 0o600); err != nil {
				t.Fatal(err)
			}
			var stdout, stderr bytes.Buffer
			p := program{stdout: &stdout, stderr: &stderr, newDevice: protocol.New}
			got := p.execute([]string{"replay", file})
			said := stdout.String()
			if c.status != 0 {
				said = stderr.String()
			}
			if got != c.status || !strings.Contains(said, c.out) {
				t.Errorf("exit %d, want %d; stdout %q, stderr %q", got, c.status, stdout.String(), stderr.String())
			}
		})
	}
	var stderr bytes.Buffer
	p := program{stdout: &bytes.Buffer{}, stderr: &stderr, newDevice: protocol.New}
	if got := p.execute([]string{"replay", filepath.Join(t.TempDir(), "none")}); got != shell.Usage {
		t.Errorf("a file that is not there: exit %d", got)
	}
}
