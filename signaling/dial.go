package signaling

import (
	"context"
	"net"
	"time"
)

// A lost network shows in no error: TCP asks again, ever more seldom, for many seconds
// after it is back. A fresh attempt does not wait for that.
const (
	redial   = 700 * time.Millisecond // from one attempt to connect to the next
	dials    = 8                      // of them at most, of which the first that gets through wins
	unheeded = 2 * time.Second        // without an acknowledgement, and a connection is given up (where the system can)
)

// dialer connects to a server, for limit at most.
func dialer(limit time.Duration) func(context.Context, string, string) (net.Conn, error) {
	d := &net.Dialer{Timeout: limit, Control: giveUpAfter(unheeded)}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		ctx, cancel := context.WithCancel(ctx)
		type result struct {
			conn net.Conn
			err  error
		}
		results := make(chan result)
		started, ended := 0, 0
		defer func() { // the others end with ctx, or are too late
			cancel()
			for ; ended < started; ended++ {
				if r := <-results; r.conn != nil {
					r.conn.Close()
				}
			}
		}()
		tick := time.NewTicker(redial)
		defer tick.Stop()
		for {
			if started < dials {
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
