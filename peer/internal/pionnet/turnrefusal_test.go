package pionnet

import (
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/logging"
	"github.com/pion/transport/v5/stdnet"
	"github.com/pion/turn/v5"
	"github.com/pion/webrtc/v4"
)

// A program hears of a server that no longer takes the credentials, and not of other refusals.
func TestRefusals(t *testing.T) {
	for _, over := range []string{"udp", "tcp"} {
		t.Run("over "+over, func(t *testing.T) {
			var ended atomic.Bool
			at := aTURNServer(t, func(a *turn.RequestAttributes) (string, []byte, bool) {
				return a.Username, turn.GenerateAuthKey(a.Username, a.Realm, "password"), !ended.Load()
			})
			machine, err := stdnet.NewNet()
			if err != nil {
				t.Fatal(err)
			}
			heard := make(chan struct{}, 9)
			network := NewTURNNet(t.Context(), machine, []webrtc.ICEServer{{Username: "user", Credential: "password"}}, nil, nil, func() { heard <- struct{}{} })
			conn, err := network.reach(over, at)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = conn.Close() }) // the client may have
			client, err := turn.NewClient(&turn.ClientConfig{
				TURNServerAddr: at, Conn: conn, Username: "user", Password: "password",
				LoggerFactory: &logging.DefaultLoggerFactory{Writer: io.Discard},
			})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(client.Close)
			if err := client.Listen(); err != nil {
				t.Fatal(err)
			}
			mine, err := client.Allocate()
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = mine.Close() }) // nothing is on its way
			peer, forbidden := &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9}, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 2), Port: 9}
			for range 2 { // the TURNNet answers the first one
				if err := client.CreatePermission(peer); err != nil {
					t.Fatal(err)
				}
				_ = client.CreatePermission(forbidden)
			}
			if len(heard) > 0 {
				t.Error("it was told of a peer that the server forbids")
			}
			ended.Store(true)
			if err := client.CreatePermission(peer); err == nil {
				t.Error("the server did not refuse")
			}
			select {
			case <-heard:
			case <-time.After(10 * time.Second):
				t.Error("it was not told")
			}
		})
	}
}

// aTURNServer returns the address of a server over UDP and TCP, which forbids one peer.
func aTURNServer(t *testing.T, authenticate turn.AuthHandler) string {
	t.Helper()
	tcp, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	udp, err := net.ListenPacket("udp4", tcp.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	addresses := &turn.RelayAddressGeneratorStatic{RelayAddress: net.IPv4(127, 0, 0, 1), Address: "127.0.0.1"}
	permit := func(_ net.Addr, peer net.IP) bool { return !peer.Equal(net.IPv4(127, 0, 0, 2)) }
	server, err := turn.NewServer(turn.ServerConfig{
		Realm: "example.org", AuthHandler: authenticate, LoggerFactory: &logging.DefaultLoggerFactory{Writer: io.Discard},
		PacketConnConfigs: []turn.PacketConnConfig{{PacketConn: udp, RelayAddressGenerator: addresses, PermissionHandler: permit}},
		ListenerConfigs:   []turn.ListenerConfig{{Listener: tcp, RelayAddressGenerator: addresses, PermissionHandler: permit}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	return tcp.Addr().String()
}
