package pionnet

import (
	"cmp"
	"encoding/binary"
	"net"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"syscall"
	"unsafe"
)

// A quietUDP is a UDP socket whose packets do not wake the monitor of Go's scheduler.
//
// package net tells the runtime of each system call, in case it blocks. In a program that sleeps, this wakes the
// runtime's monitor thread, which then looks every 20 µs whether the call is over: half of the wake-ups of an idle
// connection. A call on a socket that never blocks need not be told (syscall.RawSyscall). This is Go's matter, not
// pion's: a package net that made such calls so would retire this file.
type quietUDP struct {
	*net.UDPConn
	raw syscall.RawConn
	v6  bool // the socket's family

	in packetCall // owned by ReadMsgUDPAddrPort

	out     packetCall // guarded by writing
	writing sync.Mutex
}

// newQuietUDP returns u, to be read by one goroutine at a time.
func newQuietUDP(u *net.UDPConn) (*quietUDP, error) {
	raw, err := u.SyscallConn()
	if err != nil {
		return nil, err
	}
	c := &quietUDP{UDPConn: u, raw: raw}
	var family int
	var familyErr error
	err = raw.Control(func(fd uintptr) {
		family, familyErr = syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_DOMAIN)
	})
	if err = cmp.Or(err, familyErr); err != nil {
		return nil, err
	}
	c.v6 = family == syscall.AF_INET6
	c.in.run, c.out.run = c.in.runs(syscall.SYS_RECVMSG), c.out.runs(syscall.SYS_SENDMSG)
	return c, nil
}

// ReadMsgUDPAddrPort is that of net.UDPConn.
func (c *quietUDP) ReadMsgUDPAddrPort(b, oob []byte) (n, oobn, flags int, from netip.AddrPort, err error) {
	c.in.set(b, oob, syscall.SizeofSockaddrInet6)
	if err := c.in.do("recvmsg", c.raw.Read); err != nil {
		return 0, 0, 0, from, err
	}
	return c.in.n, int(c.in.header.Controllen), int(c.in.header.Flags), c.in.address(), nil //nolint:gosec // at most len(oob)
}

// WriteToUDPAddrPort is that of net.UDPConn. Batches (WriteMsgUDPAddrPort) go through package net: the kernel is busy with one
// for so long that the scheduler has to know.
func (c *quietUDP) WriteToUDPAddrPort(b []byte, to netip.AddrPort) (int, error) {
	if to.Addr().Zone() != "" || !to.IsValid() || !c.v6 && !to.Addr().Unmap().Is4() {
		return c.UDPConn.WriteToUDPAddrPort(b, to) // which knows zones, and says what is wrong
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	c.out.set(b, nil, c.out.setAddress(to, c.v6))
	if err := c.out.do("sendmsg", c.raw.Write); err != nil {
		return 0, err
	}
	return c.out.n, nil
}

// A packetCall is one system call after another for a packet, with its memory.
type packetCall struct {
	header syscall.Msghdr
	vector syscall.Iovec
	at     syscall.RawSockaddrInet6 // which has room for that of IPv4
	run    func(fd uintptr) (done bool)
	zone   string // the name of the interface of the last link-local address
	scope  uint32 // its number
	n      int    // what the last one returned
	errno  syscall.Errno
}

// runs returns the function that makes the system call of that number, and returns false if the socket is not ready.
func (p *packetCall) runs(number uintptr) func(uintptr) bool {
	return func(fd uintptr) bool {
		for {
			n, _, errno := syscall.RawSyscall(number, fd, uintptr(unsafe.Pointer(&p.header)), 0) //nolint:gosec // recvmsg(2), sendmsg(2)
			switch errno {
			case syscall.EINTR:
				continue
			case syscall.EAGAIN:
				return false
			}
			p.n, p.errno = int(n), errno
			return true
		}
	}
}

func (p *packetCall) set(b, oob []byte, addressSize uint32) {
	p.vector = syscall.Iovec{Base: unsafe.SliceData(b)} //nolint:gosec // recvmsg(2), sendmsg(2)
	p.vector.SetLen(len(b))
	p.header = syscall.Msghdr{Name: (*byte)(unsafe.Pointer(&p.at)), Namelen: addressSize, Iov: &p.vector, Iovlen: 1} //nolint:gosec // recvmsg(2)
	if len(oob) > 0 {
		p.header.Control = unsafe.SliceData(oob) //nolint:gosec // of the same call
		p.header.SetControllen(len(oob))
	}
}

// do waits with wait until the call is made.
func (p *packetCall) do(name string, wait func(func(uintptr) bool) error) error {
	err := wait(p.run)
	p.vector.Base, p.header.Control = nil, nil // of the caller
	if err != nil {
		return err
	}
	if p.errno != 0 {
		return os.NewSyscallError(name, p.errno)
	}
	return nil
}

// setAddress writes an address as a socket of that family takes it, and returns its size.
func (p *packetCall) setAddress(to netip.AddrPort, v6 bool) (size uint32) {
	if v6 {
		p.at = syscall.RawSockaddrInet6{Family: syscall.AF_INET6, Addr: to.Addr().As16()}
		size = syscall.SizeofSockaddrInet6
	} else {
		*p.v4() = syscall.RawSockaddrInet4{Family: syscall.AF_INET, Addr: to.Addr().Unmap().As4()}
		size = syscall.SizeofSockaddrInet4
	}
	binary.BigEndian.PutUint16(p.port(), to.Port())
	return size
}

// address returns the address that the kernel has written.
func (p *packetCall) address() netip.AddrPort {
	port := binary.BigEndian.Uint16(p.port())
	if p.at.Family == syscall.AF_INET {
		return netip.AddrPortFrom(netip.AddrFrom4(p.v4().Addr), port)
	}
	addr := netip.AddrFrom16(p.at.Addr)
	if p.at.Scope_id != 0 {
		addr = addr.WithZone(p.zoneOf(p.at.Scope_id))
	}
	return netip.AddrPortFrom(addr, port)
}

// zoneOf returns the zone of addresses on the interface with that number: its name, as package net has it, or the number if it has
// none.
func (p *packetCall) zoneOf(scope uint32) string {
	if p.scope != scope {
		p.scope, p.zone = scope, strconv.FormatUint(uint64(scope), 10)
		if i, err := net.InterfaceByIndex(int(scope)); err == nil {
			p.zone = i.Name
		}
	}
	return p.zone
}

func (p *packetCall) v4() *syscall.RawSockaddrInet4 {
	return (*syscall.RawSockaddrInet4)(unsafe.Pointer(&p.at)) //nolint:gosec // ip(7)
}

// port returns the bytes of the port, which stands at the same place in both families, in network order.
func (p *packetCall) port() []byte {
	return (*[2]byte)(unsafe.Pointer(&p.at.Port))[:] //nolint:gosec // ip(7)
}
