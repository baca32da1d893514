package report_test

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/purewire/purewire/protocol/conformance"
	"github.com/purewire/purewire/protocol/conformance/report"
	"github.com/purewire/purewire/timers"
)

// at is a time in milliseconds.
func at(ms int) timers.Time { return timers.Time(ms) * timers.Time(time.Millisecond) }

// message makes bytes that look like a message of the type, with an index.
func message(kind byte, size int, index uint32) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(i*37 + int(index))
	}
	b[0], b[1], b[2], b[3] = kind, 0, 0, 0
	binary.LittleEndian.PutUint32(b[4:], index)
	return b
}

func event(from, to int, kind, text string, b []byte) conformance.TraceEntry {
	return conformance.TraceEntry{Earliest: at(from), Latest: at(to), Kind: kind, Text: text, Bytes: b,
		Local: "192.0.2.1:51820", Remote: "192.0.2.2:40001"}
}

// lateKeepalive is the story of a keepalive that came 1.6 s late.
func lateKeepalive() []conformance.TraceEntry {
	broke := event(12300, 12301, "datagram-out", "keepalive, counter 1", message(4, 32, 0x7f3a01c2))
	broke.Broke, broke.TOS = true, 0x88
	return []conformance.TraceEntry{
		event(0, 0, "configure", "one peer, no persistent keepalive", nil),
		event(10, 11, "datagram-in", "initiation 7f3a01c2", message(1, 148, 0x7f3a01c2)),
		event(12, 14, "datagram-out", "response 00c0ffee to 7f3a01c2", message(2, 92, 0x00c0ffee)),
		event(20, 21, "datagram-in", "data, counter 0, 84 bytes", message(4, 128, 0x00c0ffee)),
		event(22, 23, "packet-out", "ICMP echo request 10.9.0.2 → 10.9.0.1", append([]byte{0x45}, make([]byte, 83)...)),
		{Earliest: at(10020), Latest: at(10020), Until: at(10720), Kind: "window", Text: "passive keepalive due"},
		broke,
		event(12310, 12310, "verdict", "fail", nil),
	}
}

// cases of the sample, as a suite would have them.
func sampleCases() []conformance.Case {
	c := func(id string, level conformance.Level, needs conformance.Need, title, why, bug string, rules ...string,
	) conformance.Case {
		return conformance.Case{ID: id, Rules: rules, Level: level, Isolation: conformance.Shared, Needs: needs, Title: title,
			Why: why, Bug: bug, Lasts: 12 * time.Second}
	}
	all := []conformance.Case{
		c("handshake/response/plain", conformance.Must, 0, "A valid initiation is answered once",
			"Without it there is no tunnel.", "", "HS-03", "HS-07"),
		c("handshake/response/low-order-ephemeral", conformance.Must, 0,
			"An initiation whose ephemeral key is of low order leaves no trace",
			"An all-zero secret is known to everybody.", "B014: boringtun answered it", "CRYPTO-11"),
		c("timer/keepalive/passive", conformance.Must, conformance.NeedInner,
			"Data that nothing answers is answered by a keepalive after 10 s",
			"The other side takes silence for a dead peer and starts a new handshake after 15 s.", "", "TIMER-15"),
		c("timer/rekey/at-120-s", conformance.Should, 0, "The initiator makes a new session after 120 s",
			"Keys that live long are worth stealing.", "", "TIMER-07"),
		c("cookie/under-load/plain", conformance.Must, conformance.NeedLoad, "Under load an initiation costs a cookie",
			"Public-key work for strangers is how floods win.", "B027", "COOKIE-03"),
		c("cookie/secret/life", conformance.Impl, 0, "How long a cookie is good", "", "", "COOKIE-07"),
		c("uapi/get/plain", conformance.Must, conformance.NeedUAPI, "get lists the peers", "", "", "STAT-01"),
		c("handshake/retry/jitter", conformance.Should, 0, "Retries are spread", "", "", "TIMER-02"),
		c("roam/endpoint/data", conformance.Must, 0, "An authentic packet moves the endpoint", "", "", "ROAM-01"),
	}
	for i := range 24 {
		all = append(all, c(fmt.Sprintf("replay/window/distance-%02d", i), conformance.Must, 0,
			"A counter within the window is accepted once", "", "", "REPLAY-01"))
	}
	return all
}

func sampleRun(name, target string, verdicts map[string]conformance.Verdict) report.Run {
	run := report.Run{
		Name: name, Target: target, Version: "0.0.20250522", Kind: "go", Started: began, Took: 231 * time.Second,
		Tolerances: []report.ToleranceRow{
			{Quantity: "handshake retransmission", Window: "5.000 … 5.600 s", Why: "jitter of 333 ms, a poll of 250 ms"},
			{Quantity: "passive keepalive", Window: "10.000 … 10.700 s", Why: "no jitter; the kernel's timer wheel"},
		},
		Lacks: []report.Lack{{Need: "virtual-time", Why: "it is a program"}},
	}
	for i, c := range sampleCases() {
		r := conformance.Result{Case: c.ID, Rules: c.Rules, Level: c.Level, Title: c.Title, Seed: 7,
			Verdict: conformance.Pass, Took: time.Duration(i+1) * 13 * time.Millisecond, Lasted: c.Lasts, Attempts: 1}
		if v, ok := verdicts[c.ID]; ok {
			r.Verdict = v
		}
		tell(&r)
		run.Results = append(run.Results, r)
	}
	return run
}

// tell adds to a result what comes with its verdict.
func tell(r *conformance.Result) {
	switch r.Verdict {
	case conformance.Fail, conformance.Warn:
		r.Reason = "the keepalive came 1.580 s after its window"
		r.Expected = "a keepalive between 10.020 and 10.720 s"
		r.Actual = "the first message came at 12.300 … 12.301 s: a keepalive with counter 1"
		r.Trace = lateKeepalive()
		r.Stderr = "DEBUG: (wg0) peer(abcd…) - Sending keepalive packet\n" +
			"\x1b[31mERROR\x1b[0m: <script>alert(1)</script> & ]]>\n"
	case conformance.Flaky:
		r.Reason, r.Attempts = "failed, then passed alone", 2
		r.Earlier = []conformance.Attempt{{Verdict: conformance.Fail, Reason: "late by 1.58 s", Trace: lateKeepalive()}}
		r.Trace = lateKeepalive()[:5]
	case conformance.Unsupported:
		r.Reason = "needs uapi: the target has no configuration socket | that can be reached # here"
	case conformance.Inconclusive:
		r.Reason, r.Attempts = "the machine stalled for 80 ms inside the window", 3
	case conformance.Measured:
		r.Values = map[string]string{"cookie life": "120.0 s", "cookies per second": "<20>"}
	case conformance.Broken:
		r.Reason = "the network namespace vanished"
	}
}

var began = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// sample is a document with one run of everything (runs 1) or with three.
func sample(runs int) *report.Document {
	d := &report.Document{
		Tool: "wgconform (devel)", Started: began, Took: 240 * time.Second, Profile: "standard", Seed: 7,
		Machine: report.Machine{OS: "linux", Arch: "amd64", CPUs: 2, Kernel: "6.1.0"},
		Command: "wgconform run --target 'exec:wireguard-go -f {if}' --profile standard --seed 7",
		Cases:   report.Describe(sampleCases()),
		Runs: []report.Run{sampleRun("wireguard-go", "exec:wireguard-go -f {if}", map[string]conformance.Verdict{
			"timer/keepalive/passive": conformance.Fail, "timer/rekey/at-120-s": conformance.Warn,
			"roam/endpoint/data": conformance.Flaky, "uapi/get/plain": conformance.Unsupported,
			"handshake/retry/jitter": conformance.Inconclusive, "cookie/secret/life": conformance.Measured,
			"cookie/under-load/plain": conformance.Broken,
		})},
	}
	if runs > 1 {
		d.Runs = append(d.Runs, sampleRun("core", "core", nil),
			sampleRun("boringtun", "exec:boringtun-cli -f --disable-drop-privileges {if}", map[string]conformance.Verdict{
				"timer/keepalive/passive": conformance.Fail, "handshake/response/low-order-ephemeral": conformance.Fail,
				"uapi/get/plain": conformance.Unsupported, "cookie/secret/life": conformance.Measured}))
		d.Runs[2].Results = d.Runs[2].Results[:20] // a run that was cut short
	}
	d.Normalize()
	return d
}
