//go:build unix

package uapi

import (
	"context"
	"net"
)

func dial(ctx context.Context, name string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "unix", Path(name))
}
