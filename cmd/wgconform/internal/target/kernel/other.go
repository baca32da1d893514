//go:build !linux

package kernel

import (
	"context"
	"errors"

	"github.com/purewire/purewire/protocol/conformance"
)

// Factory cannot be made here.
type Factory struct{ conformance.Factory }

// New says that only the Linux kernel is tested.
func New(context.Context, string) (*Factory, error) {
	return nil, errors.New("only the Linux kernel can be tested, by a program that runs on it")
}

// Close has nothing to do.
func (f *Factory) Close() error { return nil }
