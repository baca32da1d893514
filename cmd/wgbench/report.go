package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"time"
)

// A setup is what the figures depend on besides the machine.
type setup struct {
	Started time.Time `json:"started"`
	Rounds  int       `json:"rounds"`
	Seconds float64   `json:"seconds"` // of each single measurement
	MTU     int       `json:"mtu"`     // of the tunnel
	// Offloads of the veth pair, as the kernel set them up: nothing is switched by wgbench.
	Offloads map[string]bool `json:"veth_offloads"`
	Flood    int             `json:"flood_per_second"`
	Sources  int             `json:"flood_and_handshake_sources"`
	Load     string          `json:"load_average"` // of the machine, before the first measurement
}

// A machine is where it was measured.
type machine struct {
	CPU    string `json:"cpu"`
	Cores  int    `json:"cores"`
	Kernel string `json:"kernel"`
	Go     string `json:"go"` // that wgbench was built with
	OS     string `json:"os"`
	Arch   string `json:"arch"`
	Module string `json:"wgbench"` // its version
}

// A report is everything, as --json writes it.
type report struct {
	Machine         machine          `json:"machine"`
	Setup           setup            `json:"setup"`
	Base            string           `json:"base"`
	Implementations []implementation `json:"implementations"`
	Metrics         []metric         `json:"metrics"`
	Results         []result         `json:"results"`
	Summary         []summary        `json:"summary"`
}

func newReport(p plan, s setup, results []result, base string) *report {
	return &report{
		Machine: thisMachine(), Setup: s, Base: base, Implementations: p.implementations, Metrics: metrics,
		Results: results, Summary: summarize(p.implementations, results, base),
	}
}

// write writes the report as JSON: nowhere for an empty name, to stdout for "-".
func (r *report) write(file string, stdout io.Writer) error {
	if file == "" {
		return nil
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	text = append(text, '\n')
	if file == "-" {
		_, err = stdout.Write(text)
		return err
	}
	return os.WriteFile(file, text, 0o644)
}

func thisMachine() machine {
	m := machine{CPU: "unknown", Cores: runtime.NumCPU(), Kernel: "unknown", Go: runtime.Version(),
		OS: runtime.GOOS, Arch: runtime.GOARCH, Module: "unknown"}
	if info, ok := debug.ReadBuildInfo(); ok {
		m.Module = info.Main.Version
	}
	if text, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		m.Kernel = strings.TrimSpace(string(text))
	}
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range bytes.Lines(text) {
			if name, value, ok := strings.Cut(string(line), ":"); ok && strings.TrimSpace(name) == "model name" {
				m.CPU = strings.TrimSpace(value)
				break
			}
		}
	}
	return m
}

// Columns of the table; with the gaps between them they make 99.
const (
	titleColumns  = 30
	unitColumns   = 9
	nameColumns   = 14
	figureColumns = 9
	spreadColumns = 21
)

// writeTable prints a line for each metric and implementation.
func writeTable(w io.Writer, r *report) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %d cores\n", r.Machine.CPU, r.Machine.Cores)
	fmt.Fprintf(&b, "Linux %s, %s, load average before: %s\n", r.Machine.Kernel, r.Machine.Go, r.Setup.Load)
	fmt.Fprintf(&b, "%d round(s) of %g s, MTU %d, veth: %s\n\n", r.Setup.Rounds, r.Setup.Seconds, r.Setup.MTU,
		switches(r.Setup.Offloads))
	row := func(title, unit, name, middle, spread, ratio string) {
		line := fmt.Sprintf("%-*s %-*s %-*s %*s %*s %*s", titleColumns, title, unitColumns, unit, nameColumns, name,
			figureColumns, middle, spreadColumns, spread, figureColumns+2, ratio)
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	row("", "", "", "median", "min to max", "ratio")
	last := ""
	for _, s := range r.Summary {
		title, unit := "", ""
		if s.Metric != last {
			title, unit = titleOf(s.Metric)
			last = s.Metric
		}
		ratio := "-"
		if s.Ratio > 0 {
			ratio = fmt.Sprintf("%.2f", s.Ratio)
		}
		row(title, unit, s.Implementation, figure(s.Median), figure(s.Min)+" to "+figure(s.Max), ratio)
	}
	fmt.Fprintf(&b, "\nRatios are medians divided by those of %s. Lower is better for times, CPU and memory.\n", r.Base)
	_, err := io.WriteString(w, b.String())
	return err
}

func titleOf(name string) (title, unit string) {
	for _, m := range metrics {
		if m.Name == name {
			return m.Title, m.Unit
		}
	}
	return name, ""
}

// figure prints three significant digits or all digits before the point.
func figure(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	case v >= 1:
		return fmt.Sprintf("%.2f", v)
	default:
		return fmt.Sprintf("%.3f", v)
	}
}

// switches prints which offloads are on and which off, in a fixed order.
func switches(m map[string]bool) string {
	var words []string
	for _, name := range offloadNames {
		if on, ok := m[name]; ok {
			words = append(words, name+" "+map[bool]string{true: "on", false: "off"}[on])
		}
	}
	if len(words) == 0 {
		return "unknown"
	}
	return strings.Join(words, ", ")
}

// offloadNames are those that we ask the kernel about.
var offloadNames = []string{"tx-checksum", "tso", "gso", "gro"}
