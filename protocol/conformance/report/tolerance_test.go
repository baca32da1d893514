package report_test

import (
	"strings"
	"testing"
	"time"

	"github.com/purewire/purewire/protocol/conformance"
	"github.com/purewire/purewire/protocol/conformance/report"
)

func TestTolerancesSayWhatIsGranted(t *testing.T) {
	for _, c := range []struct {
		caps           conformance.Capabilities
		quantity, want string
	}{
		{conformance.Capabilities{Kind: "exact", Virtual: true}, "retransmission", "5.000 … 5.333 s"},
		{conformance.Capabilities{Kind: "go"}, "passive keepalive", "10.000 … 10.150 s"},
		{conformance.Capabilities{Kind: "go"}, "retransmission", "4.990 … 5.483 s"},
		{conformance.Capabilities{Kind: "go"}, "persistent keepalive", "n − 0.010 s … n + 0.150 s"},
		{conformance.Capabilities{Kind: "go", RTT: 100 * time.Millisecond}, "passive keepalive", "10.000 … 10.250 s"},
		{conformance.Capabilities{Kind: "kernel"}, "key erasure", "540.000 … 607.550 s"},
		{conformance.Capabilities{Kind: "kernel"}, "persistent keepalive", "n − 0.010 s … 1.125 n + 0.350 s"},
		{conformance.Capabilities{Kind: "poll250"}, "age check", "n … n + 0.300 s"},
	} {
		found := false
		for _, row := range report.Tolerances(c.caps) {
			if row.Quantity == c.quantity {
				found = true
				if row.Window != c.want {
					t.Errorf("%s, %s: %q, want %q", c.caps.Kind, c.quantity, row.Window, c.want)
				}
				if c.caps.Kind == "kernel" && !strings.Contains(row.Why, "timer wheel") {
					t.Errorf("%s: why is %q", c.quantity, row.Why)
				}
			}
		}
		if !found {
			t.Errorf("no %s in the table", c.quantity)
		}
	}
}
