package pionnet

import (
	"cmp"
	"math/bits"
	"net"

	"golang.org/x/sys/cpu"
	"golang.org/x/sys/unix"
)

const canSteer = true

// sendBy makes a socket send by an interface (ip(7), IP_UNICAST_IF). It receives from all: a neighbour may know the address of one
// interface at another.
func sendBy(u *net.UDPConn, index int) error {
	raw, err := u.SyscallConn()
	if err != nil {
		return err
	}
	value := uint32(index) //nolint:gosec // the kernel's, and positive
	if !cpu.IsBigEndian {
		value = bits.ReverseBytes32(value)
	}
	var set error
	err = raw.Control(func(fd uintptr) {
		family, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_DOMAIN)
		level, option := unix.IPPROTO_IP, unix.IP_UNICAST_IF
		if family == unix.AF_INET6 {
			level, option = unix.IPPROTO_IPV6, unix.IPV6_UNICAST_IF
		}
		set = cmp.Or(err, unix.SetsockoptInt(int(fd), level, option, int(int32(value)))) //nolint:gosec // the same bits
	})
	return cmp.Or(err, set)
}

// isTap reports whether a program carries the packets of an interface that looks like Ethernet: a TAP device, as of ZeroTier, or of OpenVPN
// with --dev tap. The interfaces of other VPNs are point-to-point.
func isTap(name string) bool {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer func() { _ = unix.Close(fd) }() // it was only asked
	info, err := unix.IoctlGetEthtoolDrvinfo(fd, name)
	return err == nil && unix.ByteSliceToString(info.Driver[:]) == "tun"
}
