package peer

import (
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/interceptor"
	"github.com/pion/logging"
	"github.com/pion/webrtc/v4"
)

// newPeerConnection sets pion for two programs that want to talk soon and notice
// soon when they no longer can.
func newPeerConnection(config Config, servers []webrtc.ICEServer) (*webrtc.PeerConnection, error) {
	e := webrtc.SettingEngine{LoggerFactory: pionLog{config.Log}}
	e.SetNet(config.net)
	e.DetachDataChannels()
	e.EnableDataChannelBlockWrite(true)
	e.SetSCTPMaxMessageSize(MaxMessage)
	e.SetSCTPMaxReceiveBufferSize(4 << 20) // a message larger than this would stall the channel for ever
	e.SetSCTPRTOMax(2 * time.Second)       // after an outage, SCTP waits out its back-off
	e.EnableSctpSnap(true)                 // two round trips less, where both sides know it
	e.SetDTLSInsecureSkipHelloVerify(true) // one less: ICE has verified the address
	e.SetDTLSRetransmissionInterval(100 * time.Millisecond)
	e.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	e.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4, webrtc.NetworkTypeUDP6})
	e.SetInterfaceFilter(worthwhile())
	e.SetIncludeLoopbackCandidate(config.Loopback)
	// The first pair that works is taken; only a relay gives the others a chance.
	e.SetHostAcceptanceMinWait(0)
	e.SetSrflxAcceptanceMinWait(0)
	e.SetPrflxAcceptanceMinWait(0)
	e.SetRelayAcceptanceMinWait(150 * time.Millisecond)
	e.SetSTUNGatherTimeout(time.Second)
	// A machine that fell silent is noticed after 3 s, and given up after 5 s more.
	e.SetICETimeouts(3*time.Second, 5*time.Second, time.Second)

	// No media: neither codecs nor what would look into their packets.
	api := webrtc.NewAPI(webrtc.WithSettingEngine(e), webrtc.WithMediaEngine(&webrtc.MediaEngine{}), webrtc.WithInterceptorRegistry(&interceptor.Registry{}))
	c := webrtc.Configuration{ICEServers: servers}
	if config.RelayOnly {
		c.ICETransportPolicy = webrtc.ICETransportPolicyRelay
	}
	pc, err := api.NewPeerConnection(c)
	if err != nil {
		return nil, fmt.Errorf("preparing a connection: %w", err)
	}
	return pc, nil
}

func closeConnection(pc *webrtc.PeerConnection, log *slog.Logger) {
	if err := pc.GracefulClose(); err != nil {
		log.Debug("closing the connection", "error", err)
	}
}

// worthwhile leaves out the interfaces of containers and virtual machines, as long
// as there is another one: each costs the other side a round of checks.
func worthwhile() func(string) bool {
	all, err := net.Interfaces()
	if err != nil {
		return func(string) bool { return true }
	}
	for _, i := range all {
		addresses, err := i.Addrs()
		if err == nil && len(addresses) > 0 && i.Flags&net.FlagRunning != 0 && i.Flags&net.FlagLoopback == 0 && !virtual(i.Name) {
			return func(name string) bool { return !virtual(name) }
		}
	}
	return func(string) bool { return true }
}

func virtual(name string) bool {
	for _, prefix := range []string{"docker", "br-", "veth", "virbr", "cni", "flannel", "vmnet", "vboxnet"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// pionLog hands pion's log on, a level down: what it warns of is seldom a warning to
// a person.
type pionLog struct{ to *slog.Logger }

func (l pionLog) NewLogger(scope string) logging.LeveledLogger {
	return pionScope{l.to.With("pion", scope)}
}

type pionScope struct{ to *slog.Logger }

func (s pionScope) Trace(string)                   {}
func (s pionScope) Tracef(string, ...any)          {}
func (s pionScope) Debug(string)                   {}
func (s pionScope) Debugf(string, ...any)          {}
func (s pionScope) Info(m string)                  { s.to.Debug(m) }
func (s pionScope) Infof(format string, a ...any)  { s.to.Debug(fmt.Sprintf(format, a...)) }
func (s pionScope) Warn(m string)                  { s.to.Debug(m) }
func (s pionScope) Warnf(format string, a ...any)  { s.to.Debug(fmt.Sprintf(format, a...)) }
func (s pionScope) Error(m string)                 { s.to.Info(m) }
func (s pionScope) Errorf(format string, a ...any) { s.to.Info(fmt.Sprintf(format, a...)) }
