// Package bringup is for an implementation of WireGuard on its first day: an ordered list of small questions that stops
// at the first wrong answer and says why it is wrong, and test vectors with every intermediate value.
//
// A step asks one thing of a subject, with the hands that the cases of the suite have (conformance.T), so it runs on
// every kind of target. When the answer is wrong, the bytes are tried against a table of known mistakes ([Causes]): the
// handshake is computed again with each of them, from the keys that the tester holds, until one makes the tags of the
// subject's message right. That is no guess: a tag of 128 bits agrees. A subject that says nothing at all is sent
// messages with each of the mistakes in them, until it answers one. The diagnosis names the mistake and the first
// intermediate value at which right and wrong part.
//
// What is not visible is the subject's private ephemeral key: everything here is computed from the tester's side.
package bringup
