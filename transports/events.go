package transports

import (
	"context"
	"log/slog"
	"time"

	"github.com/purewire/purewire/protocol"
)

// LogEvents gives an Options.OnEvents that writes the Core's events to log, at debug level. Ephemeral keys
// (EventSecrets) are never logged, whatever the Core traces.
func LogEvents(log *slog.Logger) func([]protocol.Event) {
	return func(events []protocol.Event) {
		if !log.Enabled(context.Background(), slog.LevelDebug) {
			return
		}
		for i := range events {
			if e := &events[i]; e.Kind != protocol.EventSecrets {
				log.LogAttrs(context.Background(), slog.LevelDebug, e.Kind.String(), attributes(e)...)
			}
		}
	}
}

// attributes lists the fields that the event has (see protocol.EventKind).
func attributes(e *protocol.Event) []slog.Attr {
	a := []slog.Attr{slog.Duration("at", time.Duration(e.At))}
	add := func(show bool, attr slog.Attr) {
		if show {
			a = append(a, attr)
		}
	}
	add(e.Peer != 0, slog.Uint64("peer", uint64(e.Peer)))
	add(e.Reason != 0, slog.String("reason", e.Reason.String()))
	add(e.Reason != 0, slog.String("rule", e.Reason.Rule()))
	add(e.Cause != 0, slog.String("cause", e.Cause.String()))
	add(e.Timer != 0, slog.String("timer", e.Timer.String()))
	add(e.From != e.To, slog.String("from", e.From.String()))
	add(e.From != e.To, slog.String("to", e.To.String()))
	add(e.Kind == protocol.EventHandshakeComplete, slog.Bool("initiator", e.Initiator))
	add(e.Kind == protocol.EventLoad, slog.Bool("under", e.Under))
	add(e.Attempt != 0, slog.Int("attempt", e.Attempt))
	add(e.Length != 0, slog.Int("length", e.Length))
	add(e.Local != 0, slog.Uint64("local", uint64(e.Local)))
	add(e.Remote != 0, slog.Uint64("remote", uint64(e.Remote)))
	add(e.Deadline != 0, slog.Duration("deadline", time.Duration(e.Deadline)))
	add(e.Endpoint.IsValid(), slog.String("endpoint", e.Endpoint.Remote.String()))
	add(e.Previous.IsValid(), slog.String("previous", e.Previous.Remote.String()))
	return a
}
