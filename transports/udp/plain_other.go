//go:build !linux && !windows

package udp

import "golang.zx2c4.com/wireguard/conn"

func newBind() conn.Bind { return &plainBind{} }
