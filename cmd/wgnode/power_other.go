//go:build !linux

package main

// restrict does nothing where there are no capabilities.
func restrict() {}

// resume serves in this process.
func (p *program) resume(o options, env environment, h *handover) error { return p.attend(o, env, h) }
