package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/purewire/purewire/transports/sim/explain"
)

// explainFlags is what the user knows besides the captures.
type explainFlags struct {
	configs, keyLogs []string
	json             string
}

func (p *program) explainCommand() *cobra.Command {
	var f explainFlags
	c := &cobra.Command{
		Use:   "explain FILE.pcapng...",
		Short: "Say why a tunnel died, from captures of a real network",
		Long: `Say what happened to the WireGuard tunnels in captures (pcap or pcapng): handshakes, losses, silences, what
is wrong, how certain that is, and what deviates from the protocol, each with packet numbers. Several files are several
taps on one network; their clocks are compared.

Without keys, types, counters and times are what there is to go by. --config tells who is who. A key log, or the
secrets block of the capture, opens everything. The output says which it was.`,
		Example: `  wgsim explain broken.pcapng
  wgsim explain client.pcapng server.pcapng --config client.conf --config server.conf
  wgsim explain broken.pcapng --keylog keys.txt --json report.json`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return p.explain(args, f) },
	}
	flags := c.Flags()
	flags.StringArrayVar(&f.configs, "config", nil, "configuration `FILE.conf` of one end; may be repeated")
	flags.StringArrayVar(&f.keyLogs, "keylog", nil, "key log `FILE` as Wireshark takes it; may be repeated")
	flags.StringVar(&f.json, "json", "", "write the report as JSON to this `file`, - is standard output")
	return c
}

func (p *program) explain(paths []string, f explainFlags) error {
	var o explain.Options
	var err error
	if o.Configs, err = readTexts(f.configs, "configuration"); err != nil {
		return err
	}
	if o.KeyLogs, err = readTexts(f.keyLogs, "key log"); err != nil {
		return err
	}
	var sources []explain.Source
	for _, path := range paths {
		in, err := os.Open(path)
		if err != nil {
			return fmt.Errorf("cannot read the capture: %w", err)
		}
		defer in.Close() // it was only read
		sources = append(sources, explain.Source{Name: path, Data: in})
	}
	report, err := explain.Explain(sources, o)
	if err != nil {
		return err
	}
	if f.json != "-" {
		if err := report.WriteText(p.stdout); err != nil {
			return err
		}
	}
	if f.json == "" {
		return nil
	}
	out, err := create(f.json, "JSON", p.stdout)
	if err != nil {
		return err
	}
	return out.finish(report.WriteJSON(out))
}

func readTexts(paths []string, what string) (list []explain.Config, err error) {
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("cannot read the %s: %w", what, err)
		}
		list = append(list, explain.Config{Name: path, Text: string(text)})
	}
	return list, nil
}
