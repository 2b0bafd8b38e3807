package lan

import (
	"net"
	"net/netip"
	"os"
	"slices"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/net/ipv4"
)

const group = "224.0.0.251:5353"

// at opens a socket of a neighbour that tells how far what it gets may go.
func at(t *testing.T, address string) *ipv4.PacketConn {
	t.Helper()
	udp, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.MustParseAddrPort(address)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = udp.Close() }) // what it got counts
	c := ipv4.NewPacketConn(udp)
	lan0, err := net.InterfaceByName("lan0")
	if err == nil {
		err = c.SetMulticastInterface(lan0)
	}
	if err == nil {
		err = c.SetMulticastLoopback(true)
	}
	if err == nil {
		err = c.SetControlMessage(ipv4.FlagTTL, true)
	}
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func send(t *testing.T, from *ipv4.PacketConn, m dnsmessage.Message, to string) {
	t.Helper()
	b, err := m.Pack()
	if err == nil {
		_, err = from.WriteTo(b, nil, net.UDPAddrFromAddrPort(netip.MustParseAddrPort(to)))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// A packet to an address of this machine may come from anywhere. Only those to the group, which no router forwards, are answered, and
// no router forwards the answer.
func TestOnlyTheLinkIsAnswered(t *testing.T) {
	skipUnlessAlone(t)
	connect(t, "lan0", "10.77.0.1/24", "10.77.0.2/24")
	announce(t, "417", 4170)
	query := dnsmessage.Message{Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName(service + ".local."), Type: dnsmessage.TypePTR, Class: dnsmessage.ClassINET}}}
	c := at(t, "10.77.0.2:0")
	b := make([]byte, 1500)
	for limit := time.Now().Add(time.Minute); ; { // until the announcement has begun
		query.ID = 1
		send(t, c, query, "10.77.0.1:5353")
		query.ID = 2
		send(t, c, query, group)
		if err := c.SetReadDeadline(time.Now().Add(200 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		n, cm, _, err := c.ReadFrom(b)
		if err != nil && time.Now().Before(limit) {
			continue
		}
		var answer dnsmessage.Message
		if err == nil {
			err = answer.Unpack(b[:n])
		}
		if err != nil {
			t.Fatal(err)
		}
		if answer.ID != 2 || cm.TTL != 1 {
			t.Errorf("query %d is answered with a time to live of %d", answer.ID, cm.TTL)
		}
		return
	}
}

func TestOnlyTheLinkIsBelieved(t *testing.T) {
	skipUnlessAlone(t)
	connect(t, "lan0", "10.77.0.1/24", "10.77.0.2/24")
	servers := find(t, "417", silent)
	c := at(t, "10.77.0.2:0")
	lie := func(port uint16) (m dnsmessage.Message) {
		label := instanceName("417")
		name, host := dnsmessage.MustNewName(label+"."+service+".local."), dnsmessage.MustNewName(label+".local.")
		header := func(of dnsmessage.Name, kind dnsmessage.Type) dnsmessage.ResourceHeader {
			return dnsmessage.ResourceHeader{Name: of, Type: kind, Class: dnsmessage.ClassINET, TTL: 120}
		}
		m.Response = true
		m.Answers = []dnsmessage.Resource{
			{Header: header(dnsmessage.MustNewName(service+".local."), dnsmessage.TypePTR), Body: &dnsmessage.PTRResource{PTR: name}},
			{Header: header(name, dnsmessage.TypeSRV), Body: &dnsmessage.SRVResource{Port: port, Target: host}},
			{Header: header(name, dnsmessage.TypeTXT), Body: &dnsmessage.TXTResource{TXT: []string{""}}},
			{Header: header(host, dnsmessage.TypeA), Body: &dnsmessage.AResource{A: [4]byte{10, 77, 0, 99}}},
		}
		return m
	}
	for limit := time.Now().Add(time.Minute); len(servers) == 0 && time.Now().Before(limit); { // until the search has begun
		send(t, c, lie(81), "10.77.0.1:5353")
		send(t, c, lie(82), group)
		pause(t.Context(), 100*time.Millisecond)
	}
	awaitServer(t, servers, "82")
}

// Neighbours are on networks with a carrier, not behind a tunnel.
func TestLinks(t *testing.T) {
	skipUnlessAlone(t)
	connect(t, "lan0", "10.77.0.1/24")
	connect(t, "lan1", "10.78.0.1/24")
	ip(t, "link", "set", "lan1x", "down")
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		t.Skip("NOT RUN:", err)
	}
	ip(t, "tuntap", "add", "tun0", "mode", "tun")
	t.Cleanup(func() { ip(t, "tuntap", "del", "tun0", "mode", "tun") })
	ip(t, "address", "add", "10.8.0.2/24", "dev", "tun0")
	ip(t, "link", "set", "tun0", "up")
	var list []net.Interface
	for limit := time.Now().Add(10 * time.Second); time.Now().Before(limit); pause(t.Context(), 50*time.Millisecond) { // the system notices within a second
		list = slices.DeleteFunc(links(), func(i net.Interface) bool { return i.Name == "lan0x" }) // the far end, which has no address
		if len(list) == 1 && list[0].Name == "lan0" {
			return
		}
	}
	t.Errorf("it uses %v", list)
}
