//go:build !linux

package remote

import (
	"context"
	"errors"
	"io"

	"github.com/purewire/purewire/protocol/conformance"
)

// Factory cannot be made here.
type Factory struct{ conformance.Factory }

// New says that devices are tested from Linux only: time stamps of UDP sockets are its own.
func New(context.Context, string, string, io.Writer) (*Factory, error) {
	return nil, errors.New("remote: devices can be tested from Linux only")
}

// Close has nothing to do.
func (f *Factory) Close() error { return nil }
