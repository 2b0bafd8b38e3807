package peer

import (
	"log/slog"
	"sync"
	"time"

	"github.com/pion/webrtc/v4"

	"p2pchat/signaling"
)

// The phases of an attempt. DTLS and SCTP begin when the one before has ended; trust ends when each side has proven that it
// knows the code.
const (
	phaseGathering    = "gathering"
	phaseICE          = "ICE"
	phaseDTLS         = "DTLS"
	phaseSCTP         = "SCTP"
	phaseTrust        = "trust"
	phaseFirstMessage = "first message"
)

// phases logs how long each phase of a connection took, at debug level, in the form of signaling.LogPhase.
type phases struct {
	log *slog.Logger

	mu    sync.Mutex // guards what follows
	began map[string]time.Time
}

func newPhases(log *slog.Logger) *phases { return &phases{log: log, began: map[string]time.Time{}} }

func (p *phases) begin(phase string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, known := p.began[phase]; !known {
		p.began[phase] = time.Now()
	}
}

// end logs a phase that has begun, once.
func (p *phases) end(phase string) {
	p.mu.Lock()
	began := p.began[phase]
	if !began.IsZero() {
		p.began[phase] = time.Time{}
	}
	p.mu.Unlock()
	if !began.IsZero() {
		signaling.LogPhase(p.log, phase, time.Since(began))
	}
}

// follow notes when pion is done with ICE and DTLS.
func (p *phases) follow(pc *webrtc.PeerConnection) {
	pc.OnICEConnectionStateChange(func(state webrtc.ICEConnectionState) {
		if state == webrtc.ICEConnectionStateConnected {
			p.end(phaseICE)
			p.begin(phaseDTLS)
		}
	})
	pc.SCTP().Transport().OnStateChange(func(state webrtc.DTLSTransportState) {
		if state == webrtc.DTLSTransportStateConnected {
			p.begin(phaseDTLS) // pion may tell of ICE later
			p.end(phaseDTLS)
			p.begin(phaseSCTP)
		}
	})
}
