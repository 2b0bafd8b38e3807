package peer

import (
	"context"
	"errors"
	"io"

	"github.com/pion/webrtc/v4"
)

// Bare joins two PeerConnections of this program by a channel, with the settings of a
// Session and nothing around them: benchmarks compare Sessions with it. A message that is written to
// near is read from far, and the other way round. hangUp ends both.
func Bare(ctx context.Context, c Config) (near, far io.ReadWriteCloser, hangUp func(), err error) {
	return bare(ctx, c)
}

func bare(ctx context.Context, c Config, further ...func(*webrtc.SettingEngine)) (near, far io.ReadWriteCloser, hangUp func(), err error) {
	machine, err := ownNet(ctx, c)
	if err != nil {
		return nil, nil, nil, err
	}
	from, err := newPeerConnection(ctx, c, machine, nil, guards{}, further...)
	if err != nil {
		return nil, nil, nil, err
	}
	to, err := newPeerConnection(ctx, c, machine, nil, guards{}, further...)
	if err != nil {
		return nil, nil, nil, errors.Join(err, from.GracefulClose())
	}
	near, far, err = introduce(ctx, from, to)
	hangUp = func() {
		_ = from.GracefulClose() // nothing is lost
		_ = to.GracefulClose()
	}
	if err != nil {
		hangUp()
		return nil, nil, nil, err
	}
	return near, far, hangUp, nil
}

// introduce connects two PeerConnections in memory.
func introduce(ctx context.Context, from, to *webrtc.PeerConnection) (near, far io.ReadWriteCloser, err error) {
	candidates := [2]chan webrtc.ICECandidateInit{make(chan webrtc.ICECandidateInit, 100), make(chan webrtc.ICECandidateInit, 100)}
	for i, pc := range []*webrtc.PeerConnection{from, to} {
		pc.OnICECandidate(func(c *webrtc.ICECandidate) {
			if c != nil {
				candidates[i] <- c.ToJSON()
			}
		})
	}
	opened, announced := make(chan *webrtc.DataChannel, 1), make(chan *webrtc.DataChannel, 1)
	to.OnDataChannel(func(dc *webrtc.DataChannel) { dc.OnOpen(func() { announced <- dc }) })
	dc, err := from.CreateDataChannel("chat", nil)
	if err != nil {
		return nil, nil, err
	}
	dc.OnOpen(func() { opened <- dc })
	if err := describe(from, to); err != nil {
		return nil, nil, err
	}
	for near == nil || far == nil {
		select {
		case c := <-candidates[0]:
			err = to.AddICECandidate(c)
		case c := <-candidates[1]:
			err = from.AddICECandidate(c)
		case dc := <-opened:
			near, err = dc.Detach()
		case dc := <-announced:
			far, err = dc.Detach()
		case <-ctx.Done():
			err = ctx.Err()
		}
		if err != nil {
			return nil, nil, err
		}
	}
	return near, far, nil
}

// describe gives each PeerConnection the description of the other one.
func describe(from, to *webrtc.PeerConnection) error {
	offer, err := from.CreateOffer(nil)
	if err != nil {
		return err
	}
	if err := from.SetLocalDescription(offer); err != nil {
		return err
	}
	if err := to.SetRemoteDescription(offer); err != nil {
		return err
	}
	answer, err := to.CreateAnswer(nil)
	if err != nil {
		return err
	}
	if err := to.SetLocalDescription(answer); err != nil {
		return err
	}
	return from.SetRemoteDescription(answer)
}
