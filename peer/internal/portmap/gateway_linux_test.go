package portmap

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

func TestRoutes(t *testing.T) {
	const head = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
	at := func(a string) string {
		b := netip.MustParseAddr(a).As4()
		return fmt.Sprintf("%08X", binary.NativeEndian.Uint32(b[:]))
	}
	row := func(to, by, flags, metric, mask string) string {
		return "eth0\t" + at(to) + "\t" + at(by) + "\t" + flags + "\t0\t0\t" + metric + "\t" + at(mask) + "\t0\t0\t0\n"
	}
	lan, home := row("192.168.1.0", "0.0.0.0", "0001", "100", "255.255.255.0"), row("0.0.0.0", "192.168.1.1", "0003", "100", "0.0.0.0")
	for _, c := range []struct{ name, table, want string }{
		{"one default route", head + lan + home, "192.168.1.1"},
		{"the lowest metric", head + row("0.0.0.0", "10.0.0.1", "0003", "600", "0.0.0.0") + home + row("0.0.0.0", "10.0.0.2", "0003", "700", "0.0.0.0"), "192.168.1.1"},
		{"a route that is down", head + row("0.0.0.0", "10.0.0.1", "0002", "0", "0.0.0.0") + home, "192.168.1.1"},
		{"a tunnel without a gateway before it", head + row("0.0.0.0", "0.0.0.0", "0001", "50", "0.0.0.0") + home, ""},
		{"half of all addresses", head + row("0.0.0.0", "10.0.0.1", "0003", "0", "128.0.0.0") + home, "192.168.1.1"},
		{"no default route", head + lan, ""},
		{"nothing", "", ""},
		{"nonsense", head + strings.Replace(home, at("192.168.1.1"), "XYZ", 1), ""},
	} {
		got, err := parseRoutes(strings.NewReader(c.table))
		if (err == nil) != (c.want != "") || err == nil && got.String() != c.want {
			t.Errorf("%s: %v, %v", c.name, got, err)
		}
	}
}
