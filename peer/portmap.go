package peer

import (
	"github.com/pion/webrtc/v4"

	"p2pchat/peer/internal/portmap"
)

// mappedPriority is that of a server-reflexive candidate (RFC 8445, section 5.1.2.1).
const mappedPriority = 100<<24 | 65535<<8 | 255

// MapsPorts reports whether connections with the config ask the gateway for a port: MapPorts, without RelayOnly or Proxy.
func (c Config) MapsPorts() bool { return c.MapPorts && !c.RelayOnly && c.Proxy == nil }

// findGateway returns the gateway that may map ports, or nil.
func (c Config) findGateway() *portmap.Gateway {
	switch {
	case !c.MapsPorts():
		return nil
	case c.gateway != nil || c.net != nil:
		return c.gateway
	}
	g, err := portmap.Default()
	if err != nil {
		c.Log.Debug("no port is mapped", "why", err)
		return nil
	}
	return &g
}

// mapPort begins to map the port of a host candidate, if the gateway is in its network. ICE needs no more than the
// candidate: packets to the mapped port come to the host candidate's socket, from addresses that are peer-reflexive there.
func (a *attempt) mapPort(base *webrtc.ICECandidate) {
	if a.gateway == nil || a.mapping != nil || base.Typ != webrtc.ICECandidateTypeHost || base.Protocol != webrtc.ICEProtocolUDP || base.Address != a.gateway.Local.String() {
		return
	}
	a.mapping = portmap.Keep(*a.gateway, base.Port, a.log, func(m portmap.Mapping) {
		a.post(gathered{&webrtc.ICECandidate{
			Foundation: "mapped", Priority: mappedPriority, Address: m.External.Addr().String(), Protocol: webrtc.ICEProtocolUDP, Port: m.External.Port(),
			Typ: webrtc.ICECandidateTypeSrflx, Component: 1, RelatedAddress: base.Address, RelatedPort: base.Port,
		}})
	})
}
