// Package explore tries the core in thousands of random networks.
//
// [Draw] makes a scenario file of a seed: hosts, networks, NATs, firewalls, traffic, trouble and its end. [Run] plays
// it under the checkers of package sim and notes what it exercised; [Sweep] does so for a range of seeds, and a
// [Collector] orders what comes from several processors. A [Summary] adds the outcomes up, can be written as JSON and
// merged, and holds them to its Floors. [Shrink] makes of a scenario that fails the smallest one that still fails by
// the same checker.
//
// All that can be drawn can be written as a scenario file, and a seed gives the same file everywhere: a failure is
// repeated from its number.
package explore
