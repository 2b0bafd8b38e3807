package peer

import (
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/transport/v5/vnet"
)

// A groundwork is for one attempt, and soon: later, the machine may have another network.
func TestGroundwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		machine, err := vnet.NewNet(&vnet.NetConfig{})
		if err != nil {
			t.Fatal(err)
		}
		c := &callee{s: &Session{config: Config{net: machine, Log: slog.New(slog.DiscardHandler)}}, groundwork: make(chan groundwork, 1)}
		isMade := func() bool {
			t.Helper()
			g, err := c.takeGroundwork(t.Context())
			if err != nil || g.machine == nil {
				t.Fatalf("%v, %v", g.machine, err)
			}
			return g.certificate != nil
		}
		c.layGroundwork(t.Context())
		if !isMade() {
			t.Error("it is not used")
		}
		if isMade() {
			t.Error("it is used for two attempts")
		}
		c.layGroundwork(t.Context())
		time.Sleep(groundworkLimit)
		if isMade() {
			t.Error("it is used late")
		}
	})
}
