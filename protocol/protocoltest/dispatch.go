package protocoltest

import "fmt"

// dispatch finds the handler of a command. Every usage line is here; square brackets are optional, A and B are names
// of devices, N is the number of a datagram.
func (e *Env) dispatch(c *command) error {
	for _, group := range []func(*command) (bool, error){e.deviceCommand, e.trafficCommand, e.timeCommand, e.showCommand} {
		if found, err := group(c); found {
			return err
		}
	}
	return fmt.Errorf("%s: unknown command %q", c.at, c.name)
}

// deviceCommand: who is there and how it is configured. Handlers in handle_device.go and handle_peer.go.
func (e *Env) deviceCommand(c *command) (bool, error) {
	switch c.name {
	case "device":
		// device A [seed=N] [mtu=N] [key=N|none] [addr=ADDR:PORT] [wall=+1h] [trace=all|none] and limits: [peers=N]
		// [staged=N] [staged-bytes=N] [jobs=N] [handshakes=N] [cookies=N] [cookies-per-source=N]
		// A device, down, with no peers. Its outer address is 192.0.2.i:51820, its inner ones 10.0.0.i and fd00::i.
		return true, e.device(c)
	case "peer":
		// peer A B | peer A->B [psk=TEXT] [keepalive=SECONDS] [endpoint=yes|no|ADDR:PORT] [allowed=PREFIX,…] [key=N]
		// Makes each the other's peer, or only B a peer of A. Without allowed it is B's two inner addresses.
		return true, e.peer(c)
	case "update":
		// update A B | update A->B [psk=TEXT|none] [keepalive=SECONDS] [endpoint=none|ADDR:PORT] [allow=PREFIX,…]
		// [deny=PREFIX,…] [only=PREFIX,…] [key=N]
		// Changes what is named and nothing else. allow adds, deny removes, only replaces.
		return true, e.update(c)
	case "remove":
		// remove A->B [key=N] | remove A all
		return true, e.remove(c)
	case "up", "down":
		// up [A…] | down [A…]: the interface; without names, of every device.
		return true, e.upDown(c)
	case "identity":
		// identity A key=N|none [works=yes|no]: another private key of its own; works=no is a key whose owner, a smart
		// card perhaps, refuses every Diffie-Hellman.
		return true, e.identity(c)
	case "restart":
		// restart A: the process starts again with the same configuration and no memory.
		return true, e.restart(c)
	case "wall":
		// wall A +1h: moves the wall clock of A. Virtual time stays as it is.
		return true, e.wallClock(c)
	case "mtu":
		// mtu A N: another MTU of the inner interface.
		return true, e.mtu(c)
	case "entropy":
		// entropy A fails | works: the random source of A.
		return true, e.entropyState(c)
	case "move":
		// move A ADDR:PORT [untold]: A is somewhere else on the outer network, as after a change of Wi-Fi. Its Device is
		// told that the old address is gone, unless untold.
		return true, e.move(c)
	case "forget":
		// forget A [ADDR]: A's host has lost that local address (all, if none is named).
		return true, e.forget(c)
	}
	return false, nil
}

// trafficCommand: packets inside and outside. Handlers in handle_tun.go, handle_wire.go and handle_forge.go.
func (e *Env) trafficCommand(c *command) (bool, error) {
	switch c.name {
	case "tun":
		// tun A [B] [src=ADDR] [dst=ADDR] [ip=4|6] [text=TEXT] [size=BYTES] [count=N] [tos=N] [lie=N] [raw=HEX]
		// A program on A sends to B, or to dst: UDP with the text, or of that size in all. count packets come in one
		// batch. lie adds N to the length in the IP header. raw is any bytes.
		return true, e.tun(c)
	case "deliver":
		// deliver [N… | N..M | all | A->B | KIND] [from=ADDR:PORT] [ce=yes] [batch=yes]
		// Lets datagrams arrive: the oldest, those named, all that are on the wire now, all on one path, or all of one
		// kind (initiation, response, cookie, data, keepalive). from is another source address than the true one; ce
		// sets the congestion mark; batch hands them over in one call.
		return true, e.deliver(c)
	case "drop":
		// drop N… | N..M | all | A->B | KIND: they are lost.
		return true, e.drop(c)
	case "duplicate":
		// duplicate N: the network makes a copy of a datagram on the wire.
		return true, e.duplicate(c)
	case "corrupt":
		// corrupt N byte=I [bit=K]: one bit of a datagram on the wire is flipped.
		return true, e.corrupt(c)
	case "replay":
		// replay N [from=ADDR:PORT] [to=A] [index=A.1]: an attacker sends datagram N, which he once saw, again, perhaps
		// to somebody else or with another receiver index. It arrives at once.
		return true, e.replay(c)
	case "forge":
		// forge B initiation|response|cookie|transport|TYPE [index=A.1|HEX] [counter=N] [size=N] [mac1=yes|no]
		// [reserved=N] [ephemeral=zero] [count=N] [from=ADDR:PORT]
		// forge B initiation as=A|stranger: a whole one, made by somebody who claims to be A without A's private key,
		// or who says who he is and is nobody's peer.
		// An attacker sends random bytes in the form of a message. It arrives at once.
		return true, e.forge(c)
	case "cut", "mend":
		// cut A->B | cut A B | mend …: everything sent that way is lost from now on, or no longer.
		return true, e.cutLink(c)
	case "counter":
		// counter A->B rekey|reject: as if A had sent so many messages on its session with B that the next but one is the
		// first that calls for a new handshake (TIMER-09), or the next is the last that may be sent (KEY-12).
		return true, e.counter(c)
	case "jobs":
		// jobs A hold: handshake jobs of A wait. jobs A release [N…]: they are done, in that order (all: as made), and
		// later ones at once if none is named. jobs A: how many wait.
		return true, e.jobsCommand(c)
	}
	return false, nil
}

// timeCommand: what moves the world. Handlers in handle_time.go.
func (e *Env) timeCommand(c *command) (bool, error) {
	switch c.name {
	case "advance":
		// advance 5s | advance to 120s: time passes; everything that falls due happens on the way.
		return true, e.advanceCommand(c)
	case "settle":
		// settle: delivers, oldest first, until the wire is empty. No time passes.
		return true, e.settleCommand(c)
	case "network":
		// network manual: nothing arrives but by "deliver" (so it is at first). network delay=20ms: everything sent
		// arrives by itself after that time, in order.
		return true, e.network(c)
	}
	return false, nil
}

// showCommand: looking at it. Handlers in handle_show.go.
func (e *Env) showCommand(c *command) (bool, error) {
	switch c.name {
	case "deadline":
		// deadline [A…]: when each device has to be woken next, and why.
		return true, e.deadline(c)
	case "stats":
		// stats A: what "wg show" would print about its peers.
		return true, e.stats(c)
	case "slots":
		// slots A: its key pairs, as its events told.
		return true, e.slots(c)
	case "drops":
		// drops A: how often each reason to drop something has occurred.
		return true, e.drops(c)
	case "load":
		// load A: is it under load?
		return true, e.load(c)
	case "wire":
		// wire: the datagrams in flight.
		return true, e.wireCommand(c)
	case "hide", "show":
		// hide timers|wire|inner|events… | show …: leaves lines of a kind out of the log from now on, or no longer.
		return true, e.hide(c)
	}
	return false, nil
}
