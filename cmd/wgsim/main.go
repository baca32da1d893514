// Command wgsim runs simulated networks of WireGuard hosts and tells what happened in them.
//
//	wgsim run [--scenario NAME|FILE] [--seed N] [--duration D] [--pcap FILE.pcapng] [--json FILE|-] [--quiet]
//	          [--report FILE.html [--diff FILE.json]] [--events FILE|-]
//	          [--sabotage NAME [--sabotage-hosts HOSTS]]
//	wgsim list [--names] [--json | --print NAME]
//	wgsim import FILE.conf...
//	wgsim explain FILE.pcapng... [--config FILE.conf]... [--keylog FILE] [--json FILE|-]
//	wgsim explore [--seeds A..B] [--jobs N] [--shard I/N] [--budget D] [--json FILE] [--out DIR] [--failures N]
//	              [--sabotage NAME] [--print SEED]
//	wgsim merge FILE.json...
//	wgsim check-model [--budget TIME] [--depth N] [--faults N] [--sabotage NAME] [--json FILE|-]
//	wgsim version
//
// The hosts run the real protocol core of this module; time, networks and applications are models. The same seed
// gives the same run, to the last byte of its capture.
//
// The exit status is 0 if all safety checkers held and the run was as its scenario expects, 1 if not, and 2 if the run
// could not be made or its files not be written.
package main

import (
	"os"

	"github.com/purewire/purewire/protocol"
)

func main() {
	p := program{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, newDevice: protocol.New}
	os.Exit(p.execute(os.Args[1:]))
}
