package main

import (
	"errors"
	"fmt"
	"io"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// Exit statuses.
const (
	exitDone   = 0
	exitFailed = 1 // the interface could not be set up, or was lost
	exitUsage  = 2
)

// usageError is a mistake of the command line or the environment.
type usageError struct{ error }

// program is the command with what it takes from its surroundings.
type program struct {
	stdout, stderr io.Writer
	getenv         func(string) string
}

// options are what the command line says.
type options struct {
	name       string // of the interface
	foreground bool
	config     string // path; "": driven by others
	metrics    string // address; "": none
	logFormat  string
	record     string // path; "": none
}

// execute runs the command line and gives the exit status.
func (p *program) execute(args []string) int {
	var o options
	root := &cobra.Command{
		Use:   "wgnode [-f] IFNAME | wgnode [-f] --config FILE.conf [IFNAME]",
		Short: "A WireGuard interface in user space",
		Long: "wgnode makes a WireGuard interface and serves it, in place of wireguard-go. It is configured with wg(8)\n" +
			"and wg-quick(8), or by itself from a file.",
		Version:       version(),
		SilenceErrors: true, // printed below, in one form
		SilenceUsage:  true,
		Args: func(_ *cobra.Command, args []string) error {
			return o.take(args)
		},
		RunE: func(*cobra.Command, []string) error { return p.run(o) },
	}
	f := root.Flags()
	f.BoolVarP(&o.foreground, "foreground", "f", false, "do not become a daemon")
	f.StringVar(&o.config, "config", "", "set all up from this wg-quick(8) `FILE`, and undo that at the end (Linux)")
	f.StringVar(&o.metrics, "metrics", "", "serve Prometheus metrics on `ADDR`, such as 127.0.0.1:9586")
	f.StringVar(&o.logFormat, "log-format", "text", "`FORMAT` of the log: text or json")
	f.StringVar(&o.record, "record", "", "write all inputs of the protocol core to `FILE`, keys included")
	root.SetOut(p.stdout)
	root.SetErr(p.stderr)
	root.SetArgs(args)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w (see wgnode --help)", err)}
	})
	err := root.Execute()
	if err == nil {
		return exitDone
	}
	fmt.Fprintf(p.stderr, "wgnode: %v\n", err)
	if _, ok := errors.AsType[usageError](err); ok {
		return exitUsage
	}
	return exitFailed
}

// take reads the arguments that are no flags.
func (o *options) take(args []string) error {
	switch {
	case len(args) > 1:
		return usageError{fmt.Errorf("one interface, not %d (see wgnode --help)", len(args))}
	case len(args) == 1:
		o.name = args[0]
	case o.config != "":
		name, err := interfaceOf(o.config)
		if err != nil {
			return usageError{err}
		}
		o.name = name
	default:
		return usageError{errors.New("which interface? (see wgnode --help)")}
	}
	return nil
}

// run is the whole of a process: it starts another one with less power, or serves.
func (p *program) run(o options) error {
	env, err := readEnvironment(p.getenv)
	if err != nil {
		return usageError{err}
	}
	if _, err := newLogger(io.Discard, o.logFormat, env, o.name); err != nil {
		return usageError{err}
	}
	o.foreground = o.foreground || env.foreground || !canDetach
	if env.handover == nil {
		return p.launch(o, env)
	}
	return p.inherit(o, env)
}

// version is that of the module, or of the commit that it was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && info.Main.Version == "(devel)" {
			return s.Value
		}
	}
	return info.Main.Version
}
