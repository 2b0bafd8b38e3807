package portmap

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"
)

// tries are the times that a gateway gets for an answer, in one request after the other: it is one hop away.
var tries = []time.Duration{100 * time.Millisecond, 200 * time.Millisecond, 300 * time.Millisecond}

const (
	pcpVersion    = 2
	natPMPVersion = 0
	opMap         = 1
	opAddress     = 0    // of NAT-PMP
	isResponse    = 0x80 // in the byte of the operation
	udp           = 17
	pcpSize       = 60 // bytes of a MAP request and of its response
)

// pcp maps a port with PCP, or with NAT-PMP if the gateway says that it knows only that. Both use one port of the gateway.
type pcp struct {
	gateway  Gateway
	port     uint16
	nonce    [12]byte // RFC 6887, section 11.2: the same as long as the mapping lives
	old      bool     // NAT-PMP
	asked    bool     // the gateway may have made a mapping
	external uint16   // that the gateway has given, or should give
}

func newPCP(g Gateway, port uint16) (*pcp, error) {
	p := &pcp{gateway: g, port: port, external: port}
	_, err := rand.Read(p.nonce[:])
	return p, err
}

func (p *pcp) add(ctx context.Context) (Mapping, error) {
	m, err := p.request(ctx, lifetime)
	if err != nil {
		return Mapping{}, err
	}
	p.external = m.External.Port()
	return m, m.check()
}

// remove sends its request even if ctx has ended, but then waits for no answer.
func (p *pcp) remove(ctx context.Context) {
	if p.asked {
		_, _ = p.request(ctx, 0) // the mapping ends by itself
	}
}

// request asks for the mapping for a time, or with zero for its end.
func (p *pcp) request(ctx context.Context, keep time.Duration) (Mapping, error) {
	c, err := p.gateway.dial(p.gateway.PCP, 5351)
	if err != nil {
		return Mapping{}, err
	}
	defer c.Close()
	if !p.old {
		m, err := p.mapPCP(ctx, c, keep)
		if !errors.Is(err, errOlder) {
			return m, err
		}
		p.old = true
	}
	return p.mapNATPMP(ctx, c, keep)
}

var errOlder = errors.New("the gateway knows only NAT-PMP")

// mapPCP is RFC 6887, sections 7 and 11.1.
func (p *pcp) mapPCP(ctx context.Context, c net.Conn, keep time.Duration) (Mapping, error) {
	b := make([]byte, 0, pcpSize)
	b = append(b, pcpVersion, opMap, 0, 0)
	b = binary.BigEndian.AppendUint32(b, uint32(keep/time.Second)) //nolint:gosec // half an hour
	client, none := p.gateway.Local.As16(), netip.AddrFrom4([4]byte{}).As16()
	b = append(b, client[:]...)
	b = append(b, p.nonce[:]...)
	b = append(b, udp, 0, 0, 0)
	b = binary.BigEndian.AppendUint16(b, p.port)
	b = binary.BigEndian.AppendUint16(b, p.external)
	b = append(b, none[:]...)
	p.asked = true
	answer, err := exchange(ctx, c, b, func(a []byte) bool {
		if len(a) >= 4 && a[0] == natPMPVersion && a[1]&isResponse != 0 {
			return true
		}
		return len(a) == pcpSize && a[0] == pcpVersion && a[1] == opMap|isResponse && bytes.Equal(a[24:36], p.nonce[:]) &&
			a[36] == udp && binary.BigEndian.Uint16(a[40:]) == p.port
	})
	switch {
	case err != nil:
		return Mapping{}, err
	case answer[0] == natPMPVersion:
		return Mapping{}, errOlder
	case answer[3] != 0:
		return Mapping{}, fmt.Errorf("%w: PCP result %d", ErrRefused, answer[3])
	}
	at := netip.AddrFrom16([16]byte(answer[44:])).Unmap()
	return Mapping{"pcp", netip.AddrPortFrom(at, binary.BigEndian.Uint16(answer[42:])), seconds(answer[4:])}, nil
}

// mapNATPMP is RFC 6886, sections 3.2 and 3.3.
func (p *pcp) mapNATPMP(ctx context.Context, c net.Conn, keep time.Duration) (Mapping, error) {
	external := p.external
	var at netip.Addr
	if keep == 0 {
		external = 0 // section 3.4
	} else {
		address, err := natPMP(ctx, c, []byte{natPMPVersion, opAddress}, func(a []byte) bool { return len(a) == 12 })
		if err != nil {
			return Mapping{}, err
		}
		at = netip.AddrFrom4([4]byte(address[8:]))
	}
	b := []byte{natPMPVersion, opMap, 0, 0}
	b = binary.BigEndian.AppendUint16(b, p.port)
	b = binary.BigEndian.AppendUint16(b, external)
	b = binary.BigEndian.AppendUint32(b, uint32(keep/time.Second)) //nolint:gosec // half an hour
	a, err := natPMP(ctx, c, b, func(a []byte) bool { return len(a) == 16 && binary.BigEndian.Uint16(a[8:]) == p.port })
	if err != nil {
		return Mapping{}, err
	}
	return Mapping{"nat-pmp", netip.AddrPortFrom(at, binary.BigEndian.Uint16(a[10:])), seconds(a[12:])}, nil
}

// natPMP sends a request of NAT-PMP, and waits for its response; fits checks the size of one that is no refusal.
func natPMP(ctx context.Context, c net.Conn, request []byte, fits func([]byte) bool) ([]byte, error) {
	a, err := exchange(ctx, c, request, func(a []byte) bool {
		return len(a) >= 4 && a[0] == natPMPVersion && a[1] == request[1]|isResponse && (a[2] != 0 || a[3] != 0 || fits(a))
	})
	if err != nil {
		return nil, err
	}
	if result := binary.BigEndian.Uint16(a[2:]); result != 0 {
		return nil, fmt.Errorf("%w: NAT-PMP result %d", ErrRefused, result)
	}
	return a, nil
}

func seconds(b []byte) time.Duration {
	return time.Duration(binary.BigEndian.Uint32(b)) * time.Second
}

// dial opens a socket that sends to the gateway alone, and gets packets from no other.
func (g Gateway) dial(port, standard uint16) (net.Conn, error) {
	if port == 0 {
		port = standard
	}
	from, to := netip.AddrPortFrom(g.Local, 0), netip.AddrPortFrom(g.At, port)
	c, err := net.DialUDP("udp4", net.UDPAddrFromAddrPort(from), net.UDPAddrFromAddrPort(to))
	if err != nil {
		return nil, fmt.Errorf("asking the gateway: %w", err)
	}
	return c, nil
}

// exchange sends a request up to three times, and returns the first answer that fits, of 2 KiB at most. It returns
// ErrSilent if none comes. It sends the request once even if ctx has ended.
func exchange(ctx context.Context, c net.Conn, request []byte, fits func([]byte) bool) ([]byte, error) {
	defer context.AfterFunc(ctx, func() { _ = c.SetReadDeadline(time.Unix(1, 0)) })()
	buffer := make([]byte, 2<<10)
	for _, wait := range tries {
		if _, err := c.Write(request); err != nil {
			return nil, silentOr(err)
		}
		_ = c.SetReadDeadline(time.Now().Add(wait)) // or the next line fails
		for ctx.Err() == nil {
			n, err := c.Read(buffer)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				break
			}
			if err != nil {
				return nil, silentOr(err)
			}
			if fits(buffer[:n]) {
				return buffer[:n], nil
			}
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	return nil, ErrSilent
}

// silentOr returns ErrSilent if the gateway's system says that no program has the port.
func silentOr(err error) error {
	if errors.Is(err, syscall.ECONNREFUSED) {
		return ErrSilent
	}
	return fmt.Errorf("asking the gateway: %w", err)
}
