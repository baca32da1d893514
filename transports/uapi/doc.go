// Package uapi is the configuration socket that wg(8), wg-quick(8) and wgctrl speak to: a [Server] that answers for a
// [Device], the socket itself ([Listen], [Open], [FromFile]) and a [Client].
//
// The protocol is lines of key=value (rules UAPI-01 to UAPI-40). A request is "get=1" or "set=1" with its lines, and
// ends with an empty line; an answer ends with errno=N and an empty line. What the rules leave open is decided so:
//
//   - A set that fails changes nothing (UAPI-35): it is parsed to its end before any of it is applied, and applied in
//     one call. A set that never ends is never applied, so that no peer takes part half-configured.
//   - errno is negative in the answer to a set and positive in the answer to a get. That is what wg(8) can read, see
//     docs/decisions/0006. A [Client] takes both.
//   - After a mistake the rest of the request is read and ignored, hence the connection goes on with the next request.
//     Only what has no end ends the connection: a first line that is no request, and a request that is too large.
//   - Within one peer section "remove" and "update_only" hold for all of it, wherever they stand; allowed IPs are
//     added and removed in the order of the lines.
//
// Whoever can open the socket owns the interface, keys included: it is for root alone, and Server's limits protect the
// process from a broken client and not from an attacker.
package uapi
