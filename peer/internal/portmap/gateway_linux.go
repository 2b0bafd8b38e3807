package portmap

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strconv"
	"strings"
)

func defaultGateway() (netip.Addr, error) {
	f, err := os.Open("/proc/net/route")
	if err != nil {
		return netip.Addr{}, err
	}
	defer f.Close()
	return parseRoutes(f)
}

// parseRoutes returns the gateway of the default route with the lowest metric in the table of proc_net_route(5).
func parseRoutes(table io.Reader) (gateway netip.Addr, err error) {
	const up, hasGateway = 1, 2
	best := uint64(1) << 32
	lines := bufio.NewScanner(table)
	for lines.Scan() {
		f := strings.Fields(lines.Text()) // Iface Destination Gateway Flags RefCnt Use Metric Mask …
		if len(f) < 8 || f[1] != "00000000" || f[7] != "00000000" {
			continue
		}
		flags, flagsErr := strconv.ParseUint(f[3], 16, 16)
		metric, metricErr := strconv.ParseUint(f[6], 10, 32)
		raw, rawErr := hex.DecodeString(f[2])
		if err := errors.Join(flagsErr, metricErr, rawErr); err != nil || len(raw) != 4 {
			return gateway, fmt.Errorf("the routing table makes no sense: %q", lines.Text())
		}
		if flags&up == 0 || metric >= best {
			continue
		}
		best, gateway = metric, netip.Addr{}
		if flags&hasGateway != 0 {
			var a [4]byte
			binary.NativeEndian.PutUint32(a[:], binary.BigEndian.Uint32(raw)) // the kernel prints its own number
			gateway = netip.AddrFrom4(a)
		}
	}
	if err := lines.Err(); err != nil {
		return netip.Addr{}, err
	}
	if !gateway.IsValid() {
		return gateway, errors.New("there is no default route by way of a gateway")
	}
	return gateway, nil
}
