package lan

import (
	"net/netip"
	"os"
	"path/filepath"
	"syscall"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// keepToLink returns what makes the kernel deliver to a socket only what was sent to the group, which no router forwards: from its
// first packet on, and so before it is bound. A kernel without filters delivers all.
func keepToLink(group string) func(network, address string, c syscall.RawConn) error {
	filter := onlyTo(netip.MustParseAddr(group))
	return func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) {
			_ = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{
				Len:    uint16(len(filter)),                            //nolint:gosec // a dozen
				Filter: (*unix.SockFilter)(unsafe.Pointer(&filter[0])), //nolint:gosec // of the same layout: struct sock_filter
			})
		})
	}
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

// isBridge reports whether an interface is a bridge.
func isBridge(name string) bool {
	_, err := os.Stat(filepath.Join("/sys/class/net", name, "bridge"))
	return err == nil
}
