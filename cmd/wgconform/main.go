// Command wgconform tests any implementation of WireGuard against the rules of the protocol.
//
//	wgconform run [--target TARGET] [--profile quick|standard|long] [--only GLOB] [--html FILE] ...
//	wgconform matrix --target NAME=TARGET --target NAME=TARGET ...
//	wgconform list [--plan]
//	wgconform explain CASE
//	wgconform expect FILE
//	wgconform bringup [--target TARGET]
//	wgconform vectors [--json]
//	wgconform version
//
// Without a target it tests this project's own core, in virtual time.
//
// The exit status is 0 if no MUST rule was broken, 1 if one was, and 2 if something was wrong with the command line or
// the surroundings. docs/CONFORMANCE-SUITE.md has the rest.
package main

import (
	"os"

	"github.com/purewire/purewire/protocol/conformance"
)

func main() {
	p := program{stdout: os.Stdout, stderr: os.Stderr, kinds: targetKinds(), cases: conformance.Cases}
	os.Exit(p.execute(os.Args[1:]))
}
