//go:build !unix && !windows

package uapi

import (
	"context"
	"errors"
	"fmt"
	"net"
)

func dial(_ context.Context, name string) (net.Conn, error) {
	return nil, fmt.Errorf("uapi: connecting to %s: %w", Path(name), errors.ErrUnsupported)
}
