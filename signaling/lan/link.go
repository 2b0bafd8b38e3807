package lan

import (
	"net"
	"net/netip"

	"golang.org/x/net/bpf"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// Multicast DNS is for one link (RFC 6762, section 11). pion answers and believes whatever reaches its sockets, from wherever it was
// sent: the system must keep the rest away.

// oneHop is the time to live of what is sent: no router forwards it, an answer to a query from elsewhere neither.
const oneHop = 1

// keepToLink4 makes a socket send to neighbours only, and on Linux, where a program can give the system a filter, take only what was
// sent to the group: no router forwards that. An error leaves the socket as it was.
func keepToLink4(c *ipv4.PacketConn) {
	_ = c.SetTTL(oneHop)
	_ = c.SetBPF(onlyTo(netip.MustParseAddr("224.0.0.251")))
}

// keepToLink6 does the same for IPv6.
func keepToLink6(c *ipv6.PacketConn) {
	_ = c.SetHopLimit(oneHop)
	_ = c.SetBPF(onlyTo(netip.MustParseAddr("ff02::fb")))
}

// networkHeader is where a filter finds the IP header (SKF_NET_OFF of linux/filter.h): what a UDP socket gets begins after it.
const networkHeader = 0xfff00000

// onlyTo returns a filter that drops packets to all addresses but one.
func onlyTo(group netip.Addr) []bpf.RawInstruction {
	at, words := uint32(networkHeader+16), group.AsSlice()
	if group.Is6() {
		at = networkHeader + 24
	}
	var program []bpf.Instruction
	for n := 0; n < len(words); n += 4 {
		want := uint32(words[n])<<24 | uint32(words[n+1])<<16 | uint32(words[n+2])<<8 | uint32(words[n+3])
		program = append(program,
			bpf.LoadAbsolute{Off: at + uint32(n), Size: 4},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: want, SkipTrue: 1},
			bpf.RetConstant{Val: 0})
	}
	raw, _ := bpf.Assemble(append(program, bpf.RetConstant{Val: 1 << 16})) // the instructions are known
	return raw
}

// links returns the networks on which neighbours may be: with a carrier, and no tunnels, as of a VPN, which lead to machines elsewhere.
func links() (list []net.Interface) {
	all, _ := net.Interfaces() // none if it fails
	const want = net.FlagUp | net.FlagRunning | net.FlagMulticast
	for _, i := range all {
		if i.Flags&(want|net.FlagLoopback|net.FlagPointToPoint) == want {
			list = append(list, i)
		}
	}
	return list
}
