// Package cookie keeps a responder alive under a flood: the two MACs at the end of every handshake message, the
// cookies that make a sender prove its address, the load state that decides when a cookie is asked for, and the
// limiters that bound what a proven address may cost (paper §5.3, §5.4.4, §5.4.7; rules COOKIE-01..21, DOS-01..09).
//
// The parts, in the order in which a received handshake message meets them:
//
//	Checker   mac1, mac2 and cookie replies of our own identity, as receiver
//	Load      is the device under load?
//	Sources   token buckets per source address, bounded
//	Budget    one token bucket for the whole device
//	Jar       mac1, mac2 and the stored cookie towards one peer, as sender
//
// Duties of the caller:
//
//  1. One goroutine. There is no lock, and every part borrows the scratch space of one Hasher.
//  2. Parse first: messages given to Checker and Jar are whole initiations or responses, replies are whole cookie
//     replies. Their types, reserved bytes and receiver indices are looked at by nobody here (COOKIE-07).
//  3. Time never goes backwards. If it does all the same, buckets refill later; nothing overflows.
//  4. Randomness is drawn by the caller: secrets, nonces and the seed of Sources (COOKIE-15, COOKIE-16, SEC-07).
//
// Whatever a datagram can trigger before it is authenticated allocates nothing (design §3 rule 6, DOS-06).
package cookie
