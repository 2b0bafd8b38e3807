package peer

import (
	"cmp"
	"context"
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

// choiceDue is posted when choiceLimit is over.
type choiceDue struct{}

func (choiceDue) handle(_ context.Context, a *attempt) (*Pipe, error) { return a.choose() }

// channelOpened is posted when a channel has opened.
type channelOpened struct{ *webrtc.DataChannel }

func (c channelOpened) handle(_ context.Context, a *attempt) (*Pipe, error) {
	return a.opened(c.DataChannel)
}

// opened takes a channel that has opened. A plain caller may open several, which arrive in any
// order: its chat is the channel of that name or, if there is none, the one with the lowest id,
// which it has made first.
func (a *attempt) opened(dc *webrtc.DataChannel) (*Pipe, error) {
	switch {
	case !a.foreign || a.ticket.Side == signaling.Caller:
		return a.openPipe(dc)
	case dc.Label() == channelLabel:
		a.choices = append(a.choices, dc)
		return a.choose()
	case len(a.choices) == furtherChannels:
		decline(dc, &a.declined, a.log)
		return nil, nil
	}
	if a.choices = append(a.choices, dc); len(a.choices) > 1 {
		return nil, nil
	}
	a.postAfter(choiceLimit, choiceDue{})
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
	list := slices.DeleteFunc(a.choices, func(dc *webrtc.DataChannel) bool { return dc.ReadyState() != webrtc.DataChannelStateOpen })
	a.choices = nil
	if len(list) == 0 { // they were closed again: another may come
		return nil, nil
	}
	slices.SortStableFunc(list, func(a, b *webrtc.DataChannel) int { return cmp.Compare(rank(a), rank(b)) })
	for _, other := range list[1:] {
		decline(other, &a.declined, a.log)
	}
	return a.openPipe(list[0])
}

// unmet returns why the two have not met within connectLimit.
func (a *attempt) unmet() error {
	if a.foreign && a.pc.ConnectionState() == webrtc.PeerConnectionStateConnected {
		return ErrNoChannel
	}
	if a.noSocket != nil {
		return a.noAnswer("")
	}
	return fmt.Errorf("%w within %v (%s)", ErrNoPath, connectLimit, a.tried())
}
