package uapi

import (
	"context"
	"net"

	"golang.org/x/sys/windows"
	"golang.zx2c4.com/wireguard/ipc/namedpipe"
)

// dial lets only a pipe of the system itself answer: anyone could have made one of that name first.
func dial(ctx context.Context, name string) (net.Conn, error) {
	system, err := windows.CreateWellKnownSid(windows.WinLocalSystemSid)
	if err != nil {
		return nil, err
	}
	return (&namedpipe.DialConfig{ExpectedOwner: system}).DialContext(ctx, Path(name))
}
