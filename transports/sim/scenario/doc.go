// Package scenario reads and writes scenario files: networks of WireGuard hosts, what happens to them, and what is
// expected of them, in YAML.
//
// [Parse] reads a file strictly into a [File], [File.Compile] makes of it a sim.Scenario and the expectations about its
// run, and [File.Marshal] writes it. A [Judge] watches a run and says of each expectation whether it held. [Import]
// makes a File from configurations of wg-quick(8).
//
// The package reads no files and no clock; a File and a seed are a run.
package scenario
