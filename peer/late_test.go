package peer

import "testing"

// What was learned of the path of a renewed connection before it takes the place of the old one is not told once more.
func TestRenewedPathIsToldOnce(t *testing.T) {
	t.Parallel()
	p := &Pipe{late: &attempt{}, settled: make(chan struct{}), relay: make(chan string, 1), turned: make(chan struct{}, 1)}
	p.lateOnce.Do(func() {}) // it has gone on
	p.viaRelay.Store(true)
	p.relay <- "host,relay 192.0.2.9:7,host"
	p.turned <- struct{}{}
	close(p.settled)
	p.settleAfter(t.Context(), &Pipe{ended: make(chan struct{})})
	if p.Path != "relay" || p.Route != "host,relay 192.0.2.9:7,host" || len(p.turned) > 0 || len(p.relay) > 0 {
		t.Errorf("the path is %s by %s; to be told: %d, %d", p.Path, p.Route, len(p.turned), len(p.relay))
	}
}
