package peer

import (
	"encoding/json"
	"slices"

	"github.com/pion/webrtc/v4"

	"p2pchat/signaling"
)

// configured returns the servers as pion takes them.
func configured(list []signaling.ICEServer) (servers []webrtc.ICEServer) {
	for _, l := range list {
		servers = append(servers, webrtc.ICEServer{URLs: l.URLs, Username: l.Username, Credential: l.Credential})
	}
	return servers
}

// inTime returns the servers that can answer before the answer to an offer must be complete. A
// plain caller that takes no candidates after the answer accepts nothing before the answer, so
// servers that are held until then come too late for it.
func inTime(list []signaling.ICEServer, offer signaling.Description) []signaling.ICEServer {
	var d document
	if json.Unmarshal(offer, &d) != nil || d.P2PChat != nil || trickles(d.SDP) {
		return list
	}
	return slices.DeleteFunc(slices.Clone(list), func(l signaling.ICEServer) bool { return l.Held })
}
