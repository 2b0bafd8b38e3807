package peer

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"time"

	"github.com/pion/transport/v5"
	"github.com/pion/webrtc/v4"

	"p2pchat/peer/internal/pionnet"
)

// groundworkLimit is for how long a groundwork is used: the machine may get another network.
const groundworkLimit = time.Second

// A groundwork is what an attempt needs of this machine alone. A callee makes it while it waits for the server's first replies.
type groundwork struct {
	machine     transport.Net
	certificate *webrtc.Certificate // pion makes one if nil
	made        time.Time
}

// layGroundwork makes the groundwork of the callee's first attempt. If it fails, so does the attempt, which says why.
func (c *callee) layGroundwork(ctx context.Context) {
	g := groundwork{made: time.Now()}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err == nil {
		g.certificate, err = webrtc.GenerateCertificate(key)
	}
	if err == nil {
		g.machine, err = ownNet(ctx, c.s.config)
	}
	if err != nil {
		c.s.config.Log.Debug("preparing a connection", "error", err)
		return
	}
	c.groundwork <- g
}

// takeGroundwork returns the groundwork of the next attempt, whose look-ups end with ctx: the one that was made before, once, unless the
// offer has let this side wait.
func (c *callee) takeGroundwork(ctx context.Context) (groundwork, error) {
	select {
	case g := <-c.groundwork:
		if time.Since(g.made) < groundworkLimit {
			g.machine = pionnet.Until(ctx, g.machine)
			return g, nil
		}
	default:
	}
	machine, err := ownNet(ctx, c.s.config)
	return groundwork{machine: machine}, err
}
