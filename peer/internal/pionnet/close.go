package pionnet

import (
	"errors"
	"log/slog"

	"github.com/pion/webrtc/v4"
)

// Close closes a PeerConnection, and waits until its goroutines have ended.
func Close(pc *webrtc.PeerConnection, log *slog.Logger) {
	if err := pc.GracefulClose(); err != nil {
		log.Debug("closing the connection", "error", err)
	}
}

// CloseEnded closes a PeerConnection whose SCTP association the other side has ended.
//
// PeerConnection.GracefulClose would abort the association once more, and sctp waits 400 ms for an
// abort that can no longer be sent. CloseEnded closes the other parts one by one. It is retired once sctp's Abort
// returns at once on a closed association.
func CloseEnded(pc *webrtc.PeerConnection, log *slog.Logger) {
	dtls := pc.SCTP().Transport()
	if err := errors.Join(dtls.Stop(), dtls.ICETransport().GracefulStop()); err != nil {
		log.Debug("closing the connection", "error", err)
	}
}

// Discard closes a channel that no code will read.
//
// pion keeps a channel that was not detached for as long as its connection, even a closed one. Discard
// detaches it first. It is retired once DataChannel.Close forgets the channel.
func Discard(dc *webrtc.DataChannel) {
	if raw, err := dc.DetachWithDeadline(); err == nil {
		_ = raw.Close() // the other side may have closed it before
	}
	_ = dc.Close() // the same
}
