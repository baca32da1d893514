package program

import (
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/purewire/purewire/cmd/wgconform/internal/uapitext"
)

// uapiPatience is how long a program may take for an answer on its configuration socket.
const uapiPatience = 5 * time.Second

// converse sends an operation over a connection and gives the lines of the answer before its errno.
func converse(conn net.Conn, operation string) (lines []string, err error) {
	defer func() { err = errors.Join(err, conn.Close()) }()
	if err := conn.SetDeadline(time.Now().Add(uapiPatience)); err != nil {
		return nil, err
	}
	if _, err := conn.Write([]byte(operation)); err != nil {
		return nil, fmt.Errorf("configuration socket: %w", err)
	}
	return uapitext.Answer(conn)
}
