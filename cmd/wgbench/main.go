// Command wgbench measures WireGuard implementations against each other, through real interfaces.
//
//	wgbench tunnel --impl NAME=CMD [--impl NAME=CMD …] [--rounds N] [--seconds S] [--only LIST] [--json FILE|-]
//	               [--base NAME]
//
// CMD starts a userspace implementation in the foreground; {if} in it is the name of the interface, which is
// appended where {if} does not occur. CMD is split into words as a shell would, but no shell runs it.
//
// Each implementation runs on both ends of a veth pair between two network namespaces and is configured with wg(8).
// Implementations take turns within every round and every metric, so that a machine that gets slower is slower for
// all. Traffic is made and measured by wgbench itself, inside the namespaces.
//
// It needs root, Linux, wg(8) and ip(8). Namespaces, interfaces and daemons belong to two processes of wgbench and
// to a process namespace each: when wgbench ends, even by SIGKILL, the kernel takes all of it down.
//
// The exit status is 0 if everything was measured, 1 if a measurement failed (what there is was printed), and 2 if
// nothing could be measured: a wrong call, no root.
package main

import (
	"os"
	"runtime"
)

// The children are told to die with the thread that started them, so that must be the one that lives longest.
func init() { runtime.LockOSThread() }

func main() {
	p := program{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, uid: os.Geteuid, measure: measure, agent: agent}
	os.Exit(p.execute(os.Args[1:]))
}
