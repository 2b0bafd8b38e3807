package signaling

import (
	"context"
	"net"
	"syscall"
	"time"
)

// While a network is down, connecting fails without an error: TCP retransmits at growing intervals,
// and may do so only many seconds after the network is back. A new attempt does not wait for that.
const (
	redialInterval = 700 * time.Millisecond
	maxDials       = 8               // attempts at once
	ackTimeout     = 2 * time.Second // after which the system closes a connection whose data is not acknowledged (Linux)
)

// dialer returns a function that connects to a server within limit, via a proxy if via is not nil. It starts an
// attempt every redialInterval, and uses the first one that succeeds. A proxy gets one attempt, and maxDialTime.
func dialer(limit time.Duration, config Config) Dial {
	d, via := &net.Dialer{Timeout: limit, Control: setAckTimeout(ackTimeout)}, config.Via
	if config.Control != nil {
		acks := d.Control // nil on some systems
		d.Control = func(network, address string, c syscall.RawConn) error {
			if acks != nil {
				if err := acks(network, address, c); err != nil {
					return err
				}
			}
			return config.Control(network, address, c)
		}
		d.Resolver = &net.Resolver{Dial: (&net.Dialer{Control: config.Control}).DialContext}
	}
	dial, most := d.DialContext, maxDials
	if via != nil { // what a proxy connects to may be far: another attempt would be as slow
		dial, most, limit = via(dial), 1, maxDialTime
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, limit) // a proxy may accept, and say nothing
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
			if started < most {
				started++
				go func() {
					conn, err := dial(ctx, network, address)
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
