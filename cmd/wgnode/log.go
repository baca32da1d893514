package main

import (
	"fmt"
	"io"
	"log/slog"
)

// newLogger makes the log of a node: text or JSON lines on w that name the interface.
func newLogger(w io.Writer, format string, e environment, name string) (*slog.Logger, error) {
	options := &slog.HandlerOptions{Level: e.level}
	var h slog.Handler
	switch format {
	case "text":
		h = slog.NewTextHandler(w, options)
	case "json":
		h = slog.NewJSONHandler(w, options)
	default:
		return nil, fmt.Errorf("--log-format %s: text or json", format)
	}
	if e.silent {
		h = slog.DiscardHandler
	}
	return slog.New(h).With("interface", name), nil
}
