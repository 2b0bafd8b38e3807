package signaling

import (
	"context"
	"net"
	"time"
)

// While a network is down, connecting fails without an error: TCP retransmits at growing intervals,
// and may do so only many seconds after the network is back. A new attempt does not wait for that.
const (
	redialInterval = 700 * time.Millisecond
	maxDials       = 8               // attempts at once
	ackTimeout     = 2 * time.Second // after which the system closes a connection whose data is not acknowledged (Linux)
)

// dialer returns a function that connects to a server within limit. It starts an attempt every
// redialInterval, and uses the first one that succeeds.
func dialer(limit time.Duration) func(context.Context, string, string) (net.Conn, error) {
	d := &net.Dialer{Timeout: limit, Control: setAckTimeout(ackTimeout)}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		ctx, cancel := context.WithCancel(ctx)
		type result struct {
			conn net.Conn
			err  error
		}
		results := make(chan result)
		started, ended := 0, 0
		defer func() { // ends the other attempts
			cancel()
			for ; ended < started; ended++ {
				if r := <-results; r.conn != nil {
					r.conn.Close()
				}
			}
		}()
		tick := time.NewTicker(redialInterval)
		defer tick.Stop()
		for {
			if started < maxDials {
				started++
				go func() {
					conn, err := d.DialContext(ctx, network, address)
					results <- result{conn, err}
				}()
			}
			select {
			case r := <-results:
				ended++
				return r.conn, r.err
			case <-tick.C:
			}
		}
	}
}
