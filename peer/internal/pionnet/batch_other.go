//go:build !linux

package pionnet

import "github.com/pion/transport/v5"

// batched returns the socket unchanged: this system has no UDP_SEGMENT and UDP_GRO.
func batched(c transport.UDPConn) transport.UDPConn { return c }
