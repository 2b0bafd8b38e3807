package peer

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"time"

	dtlsfingerprint "github.com/pion/dtls/v3/pkg/crypto/fingerprint"
	"github.com/pion/ice/v4"
	"github.com/pion/interceptor"
	"github.com/pion/stun/v4"
	"github.com/pion/transport/v5"
	"github.com/pion/webrtc/v4"

	"p2pchat/peer/internal/pionnet"
	"p2pchat/signaling"
)

const (
	silence       = 2500 * time.Millisecond // after so long, a connection is lost
	heartbeat     = 750 * time.Millisecond  // between two checks, each of which wakes both machines
	checkInterval = 200 * time.Millisecond  // pion's own
	relayWait     = 400 * time.Millisecond  // before a relay is taken: any other path is better
)

// guards keep the other side, and a malicious server, from using this machine against others. The sockets are there for the
// fast path.
type guards struct {
	tcp     ice.TCPMux          // nil: no ICE over TCP
	outside *pionnet.Outside    // nil: TURN servers learn all addresses
	sources *pionnet.Sources    // nil: checks from any address are answered
	first   *pionnet.FirstCheck // nil: pairs are nominated
	packets *pionnet.Packets    // nil only if first is
	sockets *pionnet.Sockets    // nil: they are not shared
	refused chan struct{}       // is sent to when a TURN server no longer keeps an allocation, and has room for one; nil: no one is told
}

// newPeerConnection sets pion for two programs that want to talk soon and notice
// soon when they no longer can; further settings are made last. Its connections to TURN servers end with ctx.
func newPeerConnection(ctx context.Context, config Config, machine transport.Net, servers []signaling.ICEServer, g guards, further ...func(*webrtc.SettingEngine)) (*webrtc.PeerConnection, error) {
	e := webrtc.SettingEngine{LoggerFactory: pionnet.Log{To: config.Log}}
	list := configured(servers)
	network := pionnet.NewTURNNet(ctx, machine, list, g.outside, config.Proxy, func() {
		select {
		case g.refused <- struct{}{}:
		default: // nil, or the Session has not seen the last one
		}
	})
	g.set(&e, network)
	setChannels(&e)
	setICE(&e, machine, g.tcp)
	if config.relayed {
		e.SetRelayAcceptanceMinWait(0)
	}
	for _, set := range further {
		set(&e)
	}

	// No media: neither codecs nor what would look into their packets.
	api := webrtc.NewAPI(webrtc.WithSettingEngine(e), webrtc.WithMediaEngine(&webrtc.MediaEngine{}), webrtc.WithInterceptorRegistry(&interceptor.Registry{}))
	c := webrtc.Configuration{ICEServers: list}
	if config.RelayOnly {
		c.ICETransportPolicy = webrtc.ICETransportPolicyRelay
	}
	if config.certificate != nil {
		c.Certificates = []webrtc.Certificate{*config.certificate}
	}
	if config.gathers {
		c.ICECandidatePoolSize = 1
	}
	pc, err := api.NewPeerConnection(c)
	if err != nil {
		return nil, fmt.Errorf("preparing a connection: %w", err)
	}
	return pc, nil
}

// set lets the guards work on a connection over network.
func (g guards) set(e *webrtc.SettingEngine, network *pionnet.TURNNet) {
	e.SetNet(network)
	if g.sockets != nil {
		e.SetNet(g.sockets.Share(network))
	}
	e.SetICEProxyDialer(network)
	if g.sources != nil {
		e.SetRemoteIPFilter(g.sources.Take)
	}
	if g.first != nil {
		e.SetICEBindingRequestHandler(func(check *stun.Message, local, remote ice.Candidate, pair *ice.CandidatePair) bool {
			if g.sockets != nil {
				g.sockets.Know(check, local, remote)
			}
			g.packets.From(remote)
			takes := g.first.Take(check, local, remote, pair)
			if takes {
				g.packets.Take(remote)
			}
			return takes
		})
	}
}

// setChannels sets DataChannels, SCTP and DTLS.
func setChannels(e *webrtc.SettingEngine) {
	e.DetachDataChannels()
	e.EnableDataChannelBlockWrite(true)
	e.SetSCTPMaxMessageSize(MaxMessage)
	e.SetSCTPMaxReceiveBufferSize(4 << 20) // a message larger than this would stall the channel for ever
	e.SetSCTPCwndCAStep(4 * 1200)          // or TCP (RFC 9438) leaves it little of a link that both use
	e.SetSCTPRTOMax(2 * time.Second)       // after an outage, SCTP waits out its back-off
	e.EnableSctpSnap(true)                 // two round trips less, where both sides know it
	e.SetDTLSInsecureSkipHelloVerify(true) // one less: ICE has verified the address
	e.SetDTLSRetransmissionInterval(100 * time.Millisecond)
	e.DisableCloseByDTLS(true) // a Pipe is closed once, by its Session: pion waits 200 ms where two do
}

// setICE sets which candidates there are, and how soon ICE takes and gives up a pair. tcp is nil without ICE over TCP.
func setICE(e *webrtc.SettingEngine, machine transport.Net, tcp ice.TCPMux) {
	e.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	types := []webrtc.NetworkType{webrtc.NetworkTypeUDP4, webrtc.NetworkTypeUDP6}
	if tcp != nil {
		types = append(types, webrtc.NetworkTypeTCP4)
		e.SetICETCPMux(tcp)
	}
	e.SetNetworkTypes(types)
	// machine has chosen the interfaces. A filter here would make pion ask every STUN and TURN
	// server from each address, in place of once by the default route.
	_, chosen := machine.(*pionnet.Net)
	e.SetIncludeLoopbackCandidate(chosen)
	// The first pair that works is taken; only a relay gives the others a chance.
	e.SetHostAcceptanceMinWait(0)
	e.SetSrflxAcceptanceMinWait(0)
	e.SetPrflxAcceptanceMinWait(0)
	e.SetRelayAcceptanceMinWait(relayWait)
	e.SetSTUNGatherTimeout(time.Second)
	// Silence is doubted early, see silence.go. Checks of a pair go on for as long as an attempt, because its network may
	// come back.
	e.SetICETimeouts(quiet, silence+5*time.Second-quiet, heartbeat)
	e.SetICEMaxBindingRequests(uint16(connectLimit/checkInterval) + forcedChecks)
}

// ownNet returns the machine's network. Its look-ups and connections to TURN servers end with ctx.
func ownNet(ctx context.Context, config Config) (transport.Net, error) {
	if config.net != nil {
		return config.net, nil
	}
	return pionnet.NewNet(ctx)
}

// A fingerprint is what a description says of its side's certificate (RFC 8122,
// section 5).
type fingerprint struct{ algorithm, value string }

var errCertificate = fmt.Errorf("%w: it does not show the certificate that its description promised", ErrImpostor)

// fingerprintOf finds the fingerprint of an SDP, which has to be one, however often it
// stands there.
func fingerprintOf(sdp string) (f fingerprint, err error) {
	for line := range strings.FieldsFuncSeq(sdp, func(r rune) bool { return r == '\r' || r == '\n' }) {
		text, ok := strings.CutPrefix(line, "a=fingerprint:")
		if !ok {
			continue
		}
		algorithm, value, _ := strings.Cut(text, " ")
		this := fingerprint{strings.ToLower(algorithm), strings.ToLower(strings.TrimSpace(value))}
		if f != (fingerprint{}) && f != this {
			return f, errors.New("it has several fingerprints")
		}
		f = this
	}
	if f == (fingerprint{}) {
		return f, errors.New("it has no fingerprint")
	}
	return f, nil
}

// check compares the certificate that the other side has shown.
func (f fingerprint) check(pc *webrtc.PeerConnection) error {
	certificate, err := x509.ParseCertificate(pc.SCTP().Transport().GetRemoteCertificate())
	if err != nil {
		return fmt.Errorf("%w: %w", errCertificate, err)
	}
	hash, err := dtlsfingerprint.HashFromString(f.algorithm)
	if err != nil {
		return fmt.Errorf("%w: %w", errCertificate, err)
	}
	value, err := dtlsfingerprint.Fingerprint(certificate, hash)
	if err != nil || !strings.EqualFold(value, f.value) {
		return errCertificate
	}
	return nil
}
