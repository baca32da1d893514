package capture_test

import (
	"strings"
	"testing"
	"time"

	"github.com/purewire/purewire/transports/sim"
	"github.com/purewire/purewire/transports/sim/gallery"
)

// applications is a flow of every kind, of both families, over the lossy line of the scenario "lossy".
func applications(t *testing.T) sim.Scenario {
	t.Helper()
	sc, err := gallery.Scenario("lossy")
	if err != nil {
		t.Fatal(err)
	}
	sc.Duration, sc.Flows, sc.Faults, sc.NoStranger = 20*time.Second, nil, nil, true
	for i := range sc.Networks {
		sc.Networks[i].Up.Corrupt, sc.Networks[i].Down.Corrupt = sim.Ratio{}, sim.Ratio{}
	}
	for _, v6 := range []bool{false, true} {
		for k := range sim.NumFlowKinds {
			f := sim.Flow{Kind: k, From: "client", To: "server", IPv6: v6, Start: time.Second,
				Interval: 500 * time.Millisecond}
			if k == sim.FlowBulk {
				f.Bytes = 40_000
			}
			sc.Flows = append(sc.Flows, f)
		}
	}
	return sc
}

// TestTsharkReadsEveryKindOfTraffic: the packets inside the tunnel are real ones, of which nothing is malformed and
// every checksum is right; and tshark follows the streams from SYN to FIN.
func TestTsharkReadsEveryKindOfTraffic(t *testing.T) {
	b, _ := record(t, applications(t), 3, nil)
	file := save(t, b)
	sum := []string{"-o", "tcp.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE"}
	list := func(filter string) []string {
		return shark(t, file, append(sum, "-Y", filter, "-T", "fields", "-e", "frame.number", "-e", "frame.comment")...)
	}
	for _, f := range []string{"icmp", "icmpv6", "udp.port == 41414", "udp.port == 41415",
		"ip && tcp.flags.syn == 1 && tcp.flags.ack == 0 && tcp.options.mss_val == 1380",
		"ipv6 && tcp.flags.syn == 1 && tcp.flags.ack == 1 && tcp.options.sack_perm && tcp.options.mss_val == 1360",
		"tcp.flags.fin == 1", "tcp.options.sack_le", "tcp.len > 1000",
		"tcp.analysis.retransmission || tcp.analysis.fast_retransmission",
		"tcp.options.experimental.exid == 0x5055 || tcp.options.experimental"} {
		if len(list(f)) == 0 {
			t.Errorf("no frame: %s", f)
		}
	}
	none := []string{"_ws.malformed", `_ws.expert.group == "Malformed"`, `tcp.checksum.status == "Bad"`,
		`udp.checksum.status == "Bad"`, `ip.checksum.status == "Bad"`, `tcp && !(tcp.checksum.status == "Good")`}
	for _, line := range list("(" + strings.Join(none, ") || (") + ")") {
		t.Errorf("malformed, or with a wrong checksum: frame %s", line)
	}
}
