//go:build !linux

package program

import (
	"context"
	"errors"

	"github.com/purewire/purewire/protocol/conformance"
)

// Factory cannot be made here.
type Factory struct{ conformance.Factory }

// New says that programs are tested on Linux only: it takes network namespaces and packet sockets.
func New(context.Context, string, string) (*Factory, error) {
	return nil, errors.New("exec: programs can be tested on Linux only")
}

// Close has nothing to do.
func (f *Factory) Close() error { return nil }
