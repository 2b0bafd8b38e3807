//go:build !linux

package pionnet

import "net"

// Conn returns b: this system's sockets have no batches.
func (b *Beside) Conn() net.PacketConn { return b }
