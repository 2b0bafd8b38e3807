package peer

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/pion/webrtc/v4"

	"p2pchat/signaling"
)

// ErrNoChannel says that a plain WebRTC program is connected, and has opened no channel.
var ErrNoChannel = errors.New("the other program is connected, and has announced no data channel")

// choiceLimit is how long a plain program that has opened a channel of another name than
// channelLabel may take to open the one of that name.
const choiceLimit = 100 * time.Millisecond

// allOpened is posted to run when choiceLimit is over.
type allOpened struct{}

// opened takes a channel that has opened. A plain caller may open several, which arrive in any
// order: its chat is the one that is called so or, if none is, the one with the lowest id,
// which it has made first.
func (a *attempt) opened(dc *webrtc.DataChannel) (*Pipe, error) {
	switch {
	case !a.foreign || a.ticket.Side == signaling.Caller:
		return a.open(dc)
	case dc.Label() == channelLabel:
		a.offered = append(a.offered, dc)
		return a.choose()
	case len(a.offered) == furtherChannels:
		decline(dc, &a.declined, a.log)
		return nil, nil
	}
	if a.offered = append(a.offered, dc); len(a.offered) > 1 {
		return nil, nil
	}
	a.wg.Go(func() {
		timer := time.NewTimer(choiceLimit)
		defer timer.Stop()
		select {
		case <-timer.C:
			a.post(allOpened{})
		case <-a.done:
		}
	})
	return nil, nil
}

// choose opens the Pipe on one of the channels of a plain caller, and closes the others.
func (a *attempt) choose() (*Pipe, error) {
	rank := func(dc *webrtc.DataChannel) int {
		if id := dc.ID(); id != nil && dc.Label() != channelLabel {
			return int(*id)
		}
		return -1
	}
	list := slices.DeleteFunc(a.offered, func(dc *webrtc.DataChannel) bool { return dc.ReadyState() != webrtc.DataChannelStateOpen })
	a.offered = nil
	if len(list) == 0 { // they were closed again: another may come
		return nil, nil
	}
	slices.SortStableFunc(list, func(a, b *webrtc.DataChannel) int { return cmp.Compare(rank(a), rank(b)) })
	for _, other := range list[1:] {
		decline(other, &a.declined, a.log)
	}
	return a.open(list[0])
}

// unmet is why the two have not met within connectLimit.
func (a *attempt) unmet() error {
	if a.foreign && a.pc.ConnectionState() == webrtc.PeerConnectionStateConnected {
		return ErrNoChannel
	}
	return fmt.Errorf("%w within %v (%s)", ErrNoPath, connectLimit, a.tried())
}
