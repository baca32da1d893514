//go:build !unix

package main

import (
	"errors"
	"net"
	"os"
)

func duplicate(*os.File) (int, error) { return 0, errors.ErrUnsupported }

func socketOf(string, *os.File) (net.Listener, error) { return nil, errors.ErrUnsupported }
