package pionnet

import (
	"log/slog"
	"net"
	"time"

	"github.com/pion/ice/v4"
	"golang.org/x/net/netutil"
)

// These bound the connections of strangers.
const (
	mostTCP     = 16
	tcpPatience = 5 * time.Second // for the first message, which must name the attempt (RFC 6544)
)

// ListenTCP takes ICE over TCP (RFC 6544), for a machine whose network lets no UDP through. It returns nil if this
// machine cannot listen. The caller closes the result.
//
// pion takes such connections from a listener that the program brings, and accepts as many as come. This listener
// takes 16 at a time, each of which has 5 s for its first message. A limit in ice.TCPMuxParams would retire it.
func ListenTCP(log *slog.Logger) ice.TCPMux {
	l, err := net.ListenTCP("tcp4", nil) // the other side may come from anywhere
	if err != nil {
		log.Info("going on without TCP", "why", err)
		return nil
	}
	return ice.NewTCPMuxDefault(ice.TCPMuxParams{
		Listener: netutil.LimitListener(l, mostTCP), Logger: Log{log}.NewLogger("tcp"), ReadBufferSize: 8, WriteBufferSize: 1 << 20,
		FirstStunBindTimeout: tcpPatience, AliveDurationForConnFromStun: tcpPatience,
	})
}
