//go:build unix

package main

import (
	"fmt"
	"os"
	"strings"
	"syscall"
)

const canDetach = true

// detach starts a daemon and waits until it serves or has failed.
func (p *program) detach(env environment, h *handover) error {
	ready, theirs, err := os.Pipe()
	if err != nil {
		return err
	}
	defer ready.Close()
	h.ready = theirs
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	files := []*os.File{null, null, null}
	if env.chosen && !env.silent {
		files[1], files[2] = os.Stdout, os.Stderr
	}
	var pairs []string
	for _, f := range h.files() {
		if *f.file != nil {
			pairs = append(pairs, fmt.Sprintf("%s=%d", f.name, len(files)))
			files = append(files, *f.file)
		}
	}
	path, err := os.Executable()
	if err != nil {
		return err
	}
	restrict() // this thread, from which the child inherits
	child, err := os.StartProcess(path, os.Args, &os.ProcAttr{
		Env: handoverEnv(pairs), Files: files, Sys: &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return fmt.Errorf("cannot start the daemon: %w", err)
	}
	theirs.Close()
	h.ready = nil
	if err := await(ready); err != nil {
		_, _ = child.Wait() // it ends by itself after what it said
		return err
	}
	return child.Release()
}

// handoverEnv is our environment for the process that serves.
func handoverEnv(pairs []string) []string {
	value := handNone
	if len(pairs) > 0 {
		value = strings.Join(pairs, ",")
	}
	var env []string
	for _, v := range os.Environ() {
		name, _, _ := strings.Cut(v, "=")
		switch name {
		case envHandover, envTunnel, envSocket, envForeground:
		default:
			env = append(env, v)
		}
	}
	return append(env, envHandover+"="+value, envForeground+"=1")
}
