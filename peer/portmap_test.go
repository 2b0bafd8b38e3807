package peer_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"testing"

	"p2pchat/peer"
	"p2pchat/peer/internal/portmap"
	"p2pchat/signaling/memstore"
)

// gatewayHere answers PCP on this machine's own address, or never answers, and passes on all requests.
func gatewayHere(t *testing.T, silent bool) (g portmap.Gateway, requests <-chan []byte) {
	t.Helper()
	at := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	if list := peer.DefaultAddresses(); len(list) > 0 && list[0].Is4() {
		at = list[0]
	}
	c, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(at, 0)))
	if err != nil {
		t.Fatal(err)
	}
	seen := make(chan []byte, 64)
	go func() {
		defer close(seen)
		for {
			b := make([]byte, 1024)
			n, from, err := c.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			seen <- b[:n]
			if silent || n != 60 {
				continue
			}
			a := bytes.Clone(b[:n]) // RFC 6887, section 11: the nonce and the ports are where the request has them
			a[1] |= 0x80
			a[3] = 0
			copy(a[44:], netip.MustParseAddr("::ffff:203.0.113.11").AsSlice())
			_, _ = c.WriteToUDPAddrPort(a, from) // the machine may have closed its socket
		}
	}()
	t.Cleanup(func() {
		_ = c.Close()
		for range seen { // until the goroutine has ended
		}
	})
	u, _ := c.LocalAddr().(*net.UDPAddr)
	return portmap.Gateway{At: at, Local: at, PCP: u.AddrPort().Port(), SSDP: u.AddrPort().Port()}, seen
}

func sessionsOf(t *testing.T, caller, callee peer.Config) (from, to *peer.Session) {
	t.Helper()
	store := memstore.New(memstore.Limits{})
	return calling(t, store, room, caller), answering(t, store, room, callee)
}

func TestPortMapping(t *testing.T) {
	isMap := func(b []byte) bool { return len(b) == 60 }
	lifetime := func(b []byte) uint32 { return binary.BigEndian.Uint32(b[4:]) }

	t.Run("a connection has one mapped port, and gives it back at its end", func(t *testing.T) {
		g, requests := gatewayHere(t, false)
		config := quiet()
		config.MapPorts = true
		from, to := sessionsOf(t, config.Behind(g), quiet())
		pipeOf(t, from)
		pipeOf(t, to)
		add := <-requests
		for !isMap(add) { // SSDP
			add = <-requests
		}
		if lifetime(add) == 0 {
			t.Fatalf("the first request is % x", add)
		}
		from.Close()
		for b := range requests {
			if isMap(b) && lifetime(b) == 0 {
				if !bytes.Equal(b[24:42], add[24:42]) {
					t.Errorf("% x does not remove what % x has made", b, add)
				}
				return
			}
		}
	})

	t.Run("a gateway that never answers", func(t *testing.T) {
		g, requests := gatewayHere(t, true)
		config := quiet()
		config.MapPorts = true
		from, to := sessionsOf(t, config.Behind(g), config.Behind(g))
		pipeOf(t, from)
		pipeOf(t, to)
		<-requests
	})

	t.Run("no gateway is asked with a relay alone, through a proxy, or unless wanted", func(t *testing.T) {
		g, _ := gatewayHere(t, true)
		for name, change := range map[string]func(*peer.Config){
			"MapPorts is false": func(c *peer.Config) { c.MapPorts = false },
			"RelayOnly":         func(c *peer.Config) { c.RelayOnly = true },
			"Proxy": func(c *peer.Config) {
				c.Proxy = func(context.Context, string, string) (net.Conn, error) { return nil, net.ErrClosed }
			},
		} {
			config := quiet()
			config.MapPorts = true
			change(&config)
			if at := config.Behind(g).Gateway(); at != nil {
				t.Errorf("%s: %v would be asked", name, at)
			}
		}
	})
}
