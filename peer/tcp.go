package peer

import (
	"log/slog"
	"net"
	"time"

	"github.com/pion/ice/v4"
	"golang.org/x/net/netutil"
)

// What bounds the connections of strangers.
const (
	mostTCP     = 16
	tcpPatience = 5 * time.Second // for the first message, which must name the attempt (RFC 6544)
)

// listenTCP takes ICE over TCP (RFC 6544), for the other side's machine whose network lets
// no UDP through. It is nil where that is not possible, or not wanted.
func listenTCP(config Config) ice.TCPMux {
	if config.net != nil || config.RelayOnly {
		return nil
	}
	l, err := net.Listen("tcp4", ":0") //nolint:gosec // the other side may come from anywhere
	if err != nil {
		config.Log.Info("going on without TCP", "why", err)
		return nil
	}
	return ice.NewTCPMuxDefault(ice.TCPMuxParams{
		Listener: netutil.LimitListener(l, mostTCP), Logger: pionLog{config.Log}.NewLogger("tcp"), ReadBufferSize: 8, WriteBufferSize: 1 << 20,
		FirstStunBindTimeout: tcpPatience, AliveDurationForConnFromStun: tcpPatience,
	})
}

func closeTCP(mux ice.TCPMux, log *slog.Logger) {
	if mux == nil {
		return
	}
	if err := mux.Close(); err != nil {
		log.Debug("closing the TCP listener", "error", err)
	}
}
