package portmap

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
)

var loopback = netip.AddrFrom4([4]byte{127, 0, 0, 1})

const external = "203.0.113.11"

// A router is a gateway on loopback: a socket for PCP and NAT-PMP, one for SSDP, and an HTTP server.
type router struct {
	testing.TB
	Gateway
	onMap    func(request []byte) (answer []byte)         // nil: nothing listens for PCP
	location string                                       // that SSDP tells; empty: SSDP is silent
	control  string                                       // URL in the description
	soap     func(action, body string) (int, string)      // status, and what the body's elements are
	describe func(w http.ResponseWriter, r *http.Request) // nil: a good description
	http     *httptest.Server

	mu    sync.Mutex // guards what follows
	calls []string   // actions, with the external port
}

// newRouter starts a router that grants UPnP all that it wants, after set has changed it. Without onMap, its port of PCP is
// closed.
func newRouter(t testing.TB, set func(*router)) *router {
	r := &router{TB: t, Gateway: Gateway{At: loopback, Local: loopback}, control: "/control", soap: grant}
	r.http = httptest.NewUnstartedServer(r)
	r.location = "http://" + r.http.Listener.Addr().String() + "/root.xml"
	set(r)
	r.http.Start()
	t.Cleanup(r.http.Close)
	c := r.listen(r.onMap)
	if r.PCP = portOfConn(c); r.onMap == nil {
		_ = c.Close() // the port is closed
	}
	r.SSDP = portOfConn(r.listen(func(b []byte) []byte {
		if !strings.HasPrefix(string(b), "M-SEARCH * HTTP/1.1\r\n") || r.location == "" {
			return nil
		}
		return []byte("HTTP/1.1 200 OK\r\nST: " + search + "\r\nLOCATION: " + r.location + "\r\n\r\n")
	}))
	return r
}

func portOfConn(c *net.UDPConn) uint16 {
	u, _ := c.LocalAddr().(*net.UDPAddr)
	return u.AddrPort().Port()
}

// listen answers packets.
func (r *router) listen(answer func([]byte) []byte) *net.UDPConn {
	r.Helper()
	c, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(loopback, 0)))
	if err != nil {
		r.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		b := make([]byte, 2048)
		for {
			n, from, err := c.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			if a := answer(b[:n]); a != nil {
				_, _ = c.WriteToUDPAddrPort(a, from) // the machine may have closed its socket
			}
		}
	})
	r.Cleanup(func() {
		_ = c.Close() // it may be closed already
		wg.Wait()
	})
	return c
}

func (r *router) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	if q.Method == http.MethodGet {
		if r.describe != nil {
			r.describe(w, q)
			return
		}
		_, _ = io.WriteString(w, description(r.control)) //nolint:gosec // the test's own
		return
	}
	body, _ := io.ReadAll(q.Body)
	_, action, _ := strings.Cut(strings.Trim(q.Header.Get("SOAPAction"), `"`), "#")
	r.note(action + " " + between(string(body), "NewExternalPort"))
	status, answer := r.soap(action, string(body))
	w.WriteHeader(status)
	fmt.Fprintf(w, `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>%s</s:Body></s:Envelope>`, answer)
}

func description(control string) string {
	return `<?xml version="1.0"?><root xmlns="urn:schemas-upnp-org:device-1-0"><device><serviceList>
		<service><serviceType>urn:schemas-upnp-org:service:Layer3Forwarding:1</serviceType><controlURL>/other</controlURL></service></serviceList>
		<deviceList><device><serviceList><service><serviceType>` + services[0] + `</serviceType><controlURL>` + control + `</controlURL></service></serviceList></device></deviceList>
		</device></root>`
}

func between(body, name string) string {
	_, rest, _ := strings.Cut(body, "<"+name+">")
	text, _, _ := strings.Cut(rest, "<")
	return text
}

func (r *router) note(call string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls = append(r.calls, call)
}

func (r *router) noted() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.calls...)
}

func grant(action, _ string) (int, string) {
	if action == "GetExternalIPAddress" {
		return http.StatusOK, element("NewExternalIPAddress", external)
	}
	return http.StatusOK, ""
}

func fault(code int) (int, string) {
	return http.StatusInternalServerError, "<s:Fault><detail><UPnPError>" + element("errorCode", strconv.Itoa(code)) + "</UPnPError></detail></s:Fault>"
}

// pcpAnswer grants a MAP request of PCP: the port that it suggests, at an address.
func pcpAnswer(request []byte, at string) []byte {
	a := make([]byte, pcpSize)
	a[0], a[1] = pcpVersion, request[1]|isResponse
	copy(a[4:8], request[4:8])
	copy(a[24:44], request[24:44])
	copy(a[42:44], request[42:44])
	ip := netip.MustParseAddr(at).As16()
	copy(a[44:], ip[:])
	return a
}

// natPMPAnswer answers as a gateway that knows only NAT-PMP.
func natPMPAnswer(request []byte) []byte {
	a := []byte{natPMPVersion, request[1] | isResponse, 0, 0, 0, 0, 0, 1}
	switch {
	case request[0] != natPMPVersion:
		a[3] = 1 // unsupported version
		return a
	case request[1] == opAddress:
		ip := netip.MustParseAddr(external).As4()
		return append(a, ip[:]...)
	}
	a = append(a, request[4:8]...)
	return append(a, request[8:12]...)
}

func lifetimeOf(request []byte) uint32 {
	if request[0] == natPMPVersion {
		return binary.BigEndian.Uint32(request[8:])
	}
	return binary.BigEndian.Uint32(request[4:])
}
