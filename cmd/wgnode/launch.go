package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// A wgnode that is started opens the files that were named to it, with all the power it has, and hands them over to
// the process that serves: itself after another exec, or a child (a daemon). That one has fewer capabilities; in one
// process they could not be dropped, because they belong to threads, and the runtime has several.
type handover struct {
	config *os.File // nil: none; read from its beginning
	record *os.File // nil: none
	ready  *os.File // nil: nobody waits; else takes one line of errors, or "ready"
	tunnel *os.File // nil: none was given (WG_TUN_FD)
	socket *os.File // and WG_UAPI_FD
}

// Names in WGNODE_HANDOVER.
const (
	handConfig = "config"
	handRecord = "record"
	handReady  = "ready"
	handTunnel = "tunnel"
	handSocket = "socket"
	handNone   = "none=0" // so that the variable is never empty
)

// files gives the places by name, in a fixed order.
func (h *handover) files() []struct {
	name string
	file **os.File
} {
	return []struct {
		name string
		file **os.File
	}{
		{handConfig, &h.config}, {handRecord, &h.record}, {handReady, &h.ready},
		{handTunnel, &h.tunnel}, {handSocket, &h.socket},
	}
}

// close closes this process's copies.
func (h *handover) close() {
	for _, f := range h.files() {
		if *f.file != nil {
			(*f.file).Close()
		}
	}
}

// launch opens the files and hands them over. Mistakes of a configuration file are found before anything is done.
func (p *program) launch(o options, env environment) error {
	var h handover
	defer h.close()
	if err := p.openFiles(o, &h); err != nil {
		return err
	}
	if env.tunnel >= 0 {
		h.tunnel = os.NewFile(uintptr(env.tunnel), envTunnel)
	}
	if env.socket >= 0 {
		h.socket = os.NewFile(uintptr(env.socket), envSocket)
	}
	if o.foreground {
		return p.resume(o, env, &h)
	}
	return p.detach(env, &h)
}

// openFiles opens what the options name.
func (p *program) openFiles(o options, h *handover) (err error) {
	if o.config != "" {
		if !canSetUp {
			return usageError{errors.New("--config works on Linux only; use wg-quick")}
		}
		if h.config, err = os.Open(o.config); err != nil {
			return err
		}
		if err := p.checkConfig(o.config, h.config); err != nil {
			return err
		}
	}
	if o.record == "" {
		return nil
	}
	h.record, err = os.OpenFile(o.record, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if err := h.record.Chmod(0o600); err != nil && canDetach { // it may have been there already
		return err
	}
	fmt.Fprintf(p.stderr, "wgnode: %s will hold keys and traffic: whoever can read it can read this tunnel\n",
		o.record)
	return nil
}

func (p *program) checkConfig(path string, f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	c, err := parseConfig(path, f)
	if err != nil {
		return err
	}
	for _, w := range c.warnings(uint32(info.Mode().Perm())) {
		fmt.Fprintf(p.stderr, "wgnode: warning: %s\n", w)
	}
	return nil
}

// loadConfig reads the file again, in the process that serves.
func loadConfig(path string, f *os.File) (*config, error) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return parseConfig(path, f)
}

// inherit serves with the files of WGNODE_HANDOVER.
func (p *program) inherit(o options, env environment) error {
	var h handover
	for _, f := range h.files() {
		if fd, ok := env.handover[f.name]; ok {
			*f.file = os.NewFile(uintptr(fd), f.name)
		}
	}
	os.Unsetenv(envHandover)
	return p.attend(o, env, &h)
}

// attend serves, and tells who waits for it how it went.
func (p *program) attend(o options, env environment, h *handover) error {
	defer h.close()
	err := p.serve(o, env, h, func() error { return h.tell(readyLine) })
	if err != nil {
		_ = h.tell(err.Error()) // whoever waited for us may have gone
	}
	return err
}

// tell says one line to who waits, if somebody does, and then hangs up.
func (h *handover) tell(line string) error {
	if h.ready == nil {
		return nil
	}
	_, err := io.WriteString(h.ready, line+"\n")
	h.ready.Close()
	h.ready = nil
	return err
}

// readyLine is what a daemon says when it serves.
const readyLine = "ready"

// await reads what a daemon says of itself.
func await(r io.Reader) error {
	var text bytes.Buffer
	if _, err := text.ReadFrom(io.LimitReader(r, 1<<16)); err != nil {
		return err
	}
	switch s := strings.TrimSpace(text.String()); s {
	case readyLine:
		return nil
	case "":
		return errors.New("the daemon ended before it was ready")
	default:
		return errors.New(s)
	}
}
