// Package report tells people and programs what happened in a simulated run: [Text] and [HTML] for the ones, [JSON] and
// [Events] for the others. All are observers of a run and depend on nothing but its records and its result, so that the
// same scenario and seed give the same bytes.
//
// # Text
//
// A head (seed, networks, hosts), a timeline, and tables: tunnels, what was lost and by whose fault, what the hosts
// refused and by which rule, and the verdicts of the checkers. The timeline has a line for what a person wants to
// know: sessions with the reason and the time they took, moves, sleeps, new ports of NATs, silences of 5 s and
// more. A handshake is one line, whatever it took. Of datagrams that hosts refuse, the first of each kind is told and
// the rest counted. Lines keep to [Options.Width] columns.
//
// # JSON
//
// One object, whose events stand one per line. Times and lengths of time are whole nanoseconds, counted from the
// start of the run; sizes are bytes; addresses are strings as netip writes them. A field of an event that
// does not concern it is left out. There are no fractions.
//
//	version      1; see [SchemaVersion]
//	seed         of the run, up to 2^64-1
//	scenario     its name; about: one line on it
//	duration_ns  how long it was to last
//	wall         the wall clock at the start, RFC 3339
//	networks     [{name, prefix, nat: outside address if there is one, hosts: at the start}]
//	events       in order of time, each with
//	               seq      number of the record, increasing
//	               at_ns    when
//	               kind     start, end, action, fate, inner-refused, violation,
//	                        or the name of an event of the core (package protocol, EventKind): initiation-sent, drop, …
//	               host     who; peer: the other end of the tunnel
//	               action, note                        of an action on the timeline
//	               cause, attempt, initiator, timer, deadline_ns, from, to, local, remote, endpoint, previous,
//	               reason, rule, under, bytes          of an event of the core, as protocol.Event has them
//	               datagram, original, fate, lost_by, to, src, dst, attack, damaged, reason, rule, bytes
//	                                                   of a fate: a datagram that did not simply arrive; original
//	                                                   is the datagram that this is a copy of
//	               reason, rule, inner                 of an inner packet that the core had no way for:
//	                                                   {kind, flow, seq, src, dst, bytes}
//	               checker, note                       of a violation
//	digest       SHA-256 over kind, time, place and bytes of every record, those left out of events too
//	ok           whether all checkers held, and all expectations came true
//	virtual_ns   how long the run has lasted
//	datagrams    how many there were, copies included; fates: [{name, count}]
//	tunnels      [{a, b, handshakes, initiations: [{name, count}] by cause, gave_up, roamed, a_to_b, b_to_a}], the
//	             directions with sent, delivered, lost, sent_bytes, delivered_bytes (inner), wire_bytes (UDP payload),
//	             longest_outage_ns and delay_p50_ns, delay_p90_ns, delay_p99_ns, delay_max_ns
//	hosts        [{name, drops: [{name, rule, count}] by reason}]
//	checkers     [{name, rule, checked, violations}]
//	violations   [{at_ns, host, checker, text}], at most sim.MaxViolations
//	flows        [{name, kind, from, to, forth, back, round, recoveries, recoveries_omitted, stream, voice}], what the
//	             users of the inner traffic felt, as sim.FlowResult says; what the kind does not have is left out
//	               forth, back, round   sent, delivered, lost, sent_bytes, delivered_bytes, payload_bytes,
//	                                    goodput_bytes_per_s, first_sent_ns and first_after_ns (null: never),
//	                                    delay_p50_ns, delay_p90_ns, delay_p99_ns, delay_max_ns, jitter_ns,
//	                                    outage_count, outage_total_ns, longest_outage_ns and the longest
//	                                    outages: [{start_ns, end_ns, open: it had not ended when the run did}]
//	               recoveries           [{disturbance: number in disturbances, from 0; first_ns: when a packet was
//	                                    first sent after its end; back_ns: when the first such packet was
//	                                    delivered; took_ns: from the end until then; waited_ns: from first_ns until
//	                                    then; null: never}]
//	               stream               transfers, connections, aborted, delivered_bytes, intact, segments, repeated,
//	                                    timeouts, fast_recoveries, srtt_ns, transfer_p50_ns, transfer_p90_ns,
//	                                    transfer_p99_ns, transfer_max_ns
//	               voice                late, mos_hundredths
//	disturbances [{kind: "fault" or the name of an action, name, host, start_ns, end_ns}] in order of their ends
//	expectations [{text, met, got: what was measured}], if the scenario has any
//
// It holds no key.
//
// # Events
//
// One object per line, for every record but those that hold keys, with the fields of events above, and besides:
//
//	kind         also datagram, inner-sent, inner-forwarded and inner-delivered; a fate for every datagram
//	message      of a datagram: initiation, response, cookie-reply, transport, keepalive or junk, by its first byte and
//	             length
//	delay_ns     of inner-delivered: since the packet was made; of a reply: since the question was
//	datagram     of inner-delivered: the one that carried it
//
// # HTML
//
// One page that loads nothing: a lane per host with its networks, sessions and timers; every message as a line from
// sender to receiver; plots of the inner traffic and its latency; faults as bands; a list of events with a search;
// tables; and a comparison with another run, which [ReadRun] reads from JSON. #e=N behind its address leads to the
// event with the number N, which is seq in JSON and in Events; timers are counted on their own, #e=tN. The data is a
// JSON object in the page; its columns are explained at their types, in html_rows.go, and may change.
package report
