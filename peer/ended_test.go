package peer_test

import (
	"errors"
	"io"
	"testing"

	"p2pchat/signaling/memstore"
)

// A person who is asked whether to answer is told of a caller who hangs up, though nothing is received yet. ICE would notice
// seconds later, and take it for a loss.
func TestAPipeEndsWhereNoRecvWaits(t *testing.T) {
	store := memstore.New(memstore.Limits{})
	from, to := calling(t, store, room, quiet()), answering(t, store, room, quiet())
	pipeOf(t, from)
	p := pipeOf(t, to)
	from.Close()
	<-p.Ended()
	if _, err := p.Recv(soon(t)); !errors.Is(err, io.EOF) {
		t.Errorf("Recv returns %v, want io.EOF", err)
	}
}
