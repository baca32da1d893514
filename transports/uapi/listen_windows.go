package uapi

import (
	"net"

	"golang.zx2c4.com/wireguard/ipc"
)

const (
	directory = `\\.\pipe\ProtectedPrefix\Administrators\WireGuard`
	maxName   = 128
)

// Path gives the named pipe of an interface.
func Path(name string) string { return directory + `\` + name }

// Listen makes the named pipe of an interface, for administrators alone, and listens on it.
func Listen(name string) (net.Listener, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	return ipc.UAPIListen(name)
}
