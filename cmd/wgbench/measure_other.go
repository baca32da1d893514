//go:build !linux

package main

import (
	"context"
	"errors"
	"io"
)

var errNotLinux = errors.New("wgbench needs the network namespaces of Linux")

func measure(context.Context, plan, io.Writer) ([]result, setup, error) {
	return nil, setup{}, errNotLinux
}

func agent(io.Reader, io.Writer) error { return errNotLinux }
