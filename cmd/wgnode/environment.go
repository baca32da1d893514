package main

import (
	"fmt"
	"log/slog"
	"strconv"
	"strings"
)

// The environment that wireguard-go understands, and what one wgnode leaves to the next.
const (
	envLogLevel   = "LOG_LEVEL"
	envTunnel     = "WG_TUN_FD"
	envSocket     = "WG_UAPI_FD"
	envForeground = "WG_PROCESS_FOREGROUND"
	envHandover   = "WGNODE_HANDOVER" // "name=fd" pairs, see handover
)

// environment is what the variables say.
type environment struct {
	level      slog.Level
	silent     bool
	chosen     bool // LOG_LEVEL was set, so that a daemon keeps its output
	foreground bool
	tunnel     int // descriptor of a TUN device; -1: make one
	socket     int // and of a listening socket
	handover   map[string]int
}

// readEnvironment reads the variables. As with wireguard-go a log level that is not known is "error".
func readEnvironment(get func(string) string) (environment, error) {
	e := environment{level: slog.LevelError, tunnel: -1, socket: -1}
	name := get(envLogLevel)
	e.chosen = name != ""
	switch name {
	case "verbose", "debug":
		e.level = slog.LevelDebug
	case "silent":
		e.silent = true
	}
	e.foreground = get(envForeground) == "1"
	var err error
	if e.tunnel, err = descriptor(envTunnel, get(envTunnel)); err != nil {
		return e, err
	}
	if e.socket, err = descriptor(envSocket, get(envSocket)); err != nil {
		return e, err
	}
	e.handover, err = parseHandover(get(envHandover))
	return e, err
}

// descriptor reads the number of a file descriptor; -1 if there is none.
func descriptor(name, value string) (int, error) {
	if value == "" {
		return -1, nil
	}
	n, err := strconv.ParseUint(value, 10, 31)
	if err != nil {
		return -1, fmt.Errorf("%s=%s: not the number of a file descriptor", name, value)
	}
	return int(n), nil
}

func parseHandover(value string) (map[string]int, error) {
	if value == "" {
		return nil, nil
	}
	m := map[string]int{}
	for _, pair := range strings.Split(value, ",") {
		name, number, _ := strings.Cut(pair, "=")
		fd, err := descriptor(envHandover, number)
		if err != nil || fd < 0 || name == "" {
			return nil, fmt.Errorf("%s=%s: not pairs of a name and a file descriptor", envHandover, value)
		}
		m[name] = fd
	}
	return m, nil
}
