//go:build !linux

package peer

import "github.com/pion/transport/v5"

// fast makes a socket one that takes and gives many packets at a time, where there is a way.
func fast(c transport.UDPConn) transport.UDPConn { return c }
