package udp

import "golang.zx2c4.com/wireguard/conn"

// newBind takes the one on registered I/O, which has an address format and a conversion of its own.
func newBind() conn.Bind { return conn.NewDefaultBind() }
