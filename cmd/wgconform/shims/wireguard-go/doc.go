// Package wireguardgo puts the device of wireguard-go under the conformance suite in virtual time. Nothing of it is
// changed: it gets a UDP socket (conn.Bind) and a TUN interface (tun.Device) in memory and lives in a bubble of
// testing/synctest, whose clock moves on when everybody in it waits. A bubble needs a *testing.T, hence a test binary:
//
//	go test -c -o /tmp/wgshim ./cmd/wgconform/shims/wireguard-go
//	wgconform run --target shim:/tmp/wgshim
//
// Started without arguments the binary is the shim; go test always passes some.
//
// # What is the device's and what is the shim's
//
// Handshakes, sessions, timers, queues, allowed IPs, roaming, the configuration text: the device's. The shim's are
// what an operating system would be: the host's addresses, a port that is free or taken, the interface that is up or
// down, and choosing a source address if the device names none. That is not wireguard-go's conn.StdNetBind, nor its
// TUN for Linux: errors in those are seen by the target exec: only.
//
// # The clock
//
// A bubble begins at midnight of 2000-01-01 UTC. Before the device is made it sleeps until the wall clock is as it is
// to be, which takes no time, so that any clock from 2000 to 2261 can be had at the start and at a restart. A bubble
// has one clock: to set the wall clock while the others go on is impossible, and the shim says that it cannot.
//
// Each life of an instance has a bubble of its own. Between requests its main goroutine waits on a channel from
// outside, which a bubble does not count as waiting: its clock stands still.
//
// # Tolerances
//
// None: the kind is "exact". Timers of a bubble go off when they are due, and what follows takes no time, so that every
// timer case holds to the nanosecond.
//
// # What is not repeatable
//
// wireguard-go draws from crypto/rand and from the runtime's own random numbers (the jitter), and several workers
// share its handshakes. Two runs with one seed send other bytes at slightly other times. Built with -race the shim
// finds data races in wireguard-go too (there were none); then it takes ten times as long.
package wireguardgo
