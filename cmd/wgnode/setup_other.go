//go:build !linux

package main

import (
	"errors"
	"net/netip"
)

// canSetUp says whether --config works here.
const canSetUp = false

// hostSetup is for Linux; launch refuses --config elsewhere.
type hostSetup struct{}

func newHostSetup(string) *hostSetup { return &hostSetup{} }

func (*hostSetup) mark(*config) (uint32, error) { return 0, errors.ErrUnsupported }

func (*hostSetup) apply(*config, uint32, []netip.Addr) error { return errors.ErrUnsupported }

func (*hostSetup) undo() error { return nil }
