package portmap

import (
	"bufio"
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	search        = "urn:schemas-upnp-org:device:InternetGatewayDevice:1" // version 2 answers, too
	maxXML        = 128 << 10
	maxDepth      = 16
	maxElements   = 4096
	requestLimit  = time.Second
	conflict      = "718" // ConflictInMappingEntry: another machine has the port
	conflictTries = 3
)

// services are those that map ports, of which the first that a gateway has is used.
var services = []string{
	"urn:schemas-upnp-org:service:WANIPConnection:1", "urn:schemas-upnp-org:service:WANIPConnection:2", "urn:schemas-upnp-org:service:WANPPPConnection:1",
}

var errStray = errors.New("the gateway names an address that is not its own")

// igd maps a port with UPnP: it is a control point of the gateway's Internet Gateway Device.
type igd struct {
	gateway  Gateway
	port     uint16
	external uint16
	asked    bool // the gateway may have made a mapping

	// set by discover:
	at      netip.AddrPort // of the gateway's HTTP server
	control string         // URL
	service string
	client  *http.Client
}

// discover asks the gateway, and no other machine, for its description, and finds the service that maps ports.
func (d *igd) discover(ctx context.Context) error {
	c, err := d.gateway.dial(d.gateway.SSDP, 1900)
	if err != nil {
		return err
	}
	defer c.Close()
	request := "M-SEARCH * HTTP/1.1\r\nHOST: " + c.RemoteAddr().String() + "\r\nMAN: \"ssdp:discover\"\r\nMX: 1\r\nST: " + search + "\r\n\r\n"
	var location *url.URL
	var wrong error
	_, err = exchange(ctx, c, []byte(request), func(answer []byte) bool {
		location, wrong = d.locate(answer)
		return !errors.Is(wrong, errMalformed)
	})
	if err = errors.Join(err, wrong); err != nil {
		return err
	}
	d.client = clientOf(d.at)
	return d.describe(ctx, location)
}

// locate returns the address of the description that an answer to the search names.
func (d *igd) locate(answer []byte) (*url.URL, error) {
	r, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(answer)), nil)
	if err != nil || r.StatusCode != http.StatusOK {
		return nil, errMalformed
	}
	_ = r.Body.Close() // in memory
	u, err := url.Parse(r.Header.Get("Location"))
	if err != nil || u.Scheme != "http" {
		return nil, errMalformed
	}
	if d.at, err = netip.ParseAddrPort(net.JoinHostPort(u.Hostname(), portOf(u))); err != nil || d.at.Addr() != d.gateway.At || d.at.Port() == 0 {
		return nil, fmt.Errorf("%w: its description", errStray)
	}
	return u, nil
}

func portOf(u *url.URL) string {
	if p := u.Port(); p != "" {
		return p
	}
	return "80"
}

// clientOf returns a client that connects to one address only, and follows no redirect.
func clientOf(at netip.AddrPort) *http.Client {
	return &http.Client{
		Timeout: requestLimit,
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, "tcp4", at.String())
			},
			DisableKeepAlives: true, DisableCompression: true, MaxResponseHeaderBytes: 16 << 10,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return fmt.Errorf("%w: a redirect", errStray) },
	}
}

// describe reads the description, and finds the first service that maps ports.
func (d *igd) describe(ctx context.Context, location *url.URL) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, location.String(), nil)
	if err != nil {
		return errMalformed
	}
	base, service := location, ""
	_, err = d.do(r, func(name, text string) {
		switch {
		case d.control != "":
		case name == "URLBase" && text != "":
			base = resolve(location, text)
		case name == "serviceType":
			service = text
		case name == "controlURL" && slices.Contains(services, service):
			d.service, d.control = service, text
		}
	})
	if err != nil {
		return err
	}
	if d.control == "" {
		return fmt.Errorf("%w: its UPnP maps no ports", ErrRefused)
	}
	control := resolve(base, d.control)
	if control == nil || control.Scheme != "http" || net.JoinHostPort(control.Hostname(), portOf(control)) != d.at.String() {
		return fmt.Errorf("%w: its control URL", errStray)
	}
	d.control = control.String()
	return nil
}

// resolve returns the URL that text names, or nil.
func resolve(base *url.URL, text string) *url.URL {
	if base == nil {
		return nil
	}
	u, err := base.Parse(text)
	if err != nil {
		return nil
	}
	return u
}

func (d *igd) add(ctx context.Context) (Mapping, error) {
	found, err := d.call(ctx, "GetExternalIPAddress", "")
	if err != nil {
		return Mapping{}, err
	}
	at, err := netip.ParseAddr(found["NewExternalIPAddress"])
	if err != nil {
		return Mapping{}, fmt.Errorf("%w: it has no external address", ErrNotPublic)
	}
	m := Mapping{"upnp", netip.AddrPortFrom(at, d.external), lifetime}
	if err := m.check(); err != nil {
		return Mapping{}, err
	}
	for range conflictTries {
		d.asked = true
		if found, err = d.call(ctx, "AddPortMapping", d.name()+
			element("NewInternalPort", strconv.Itoa(int(d.port)))+element("NewInternalClient", d.gateway.Local.String())+element("NewEnabled", "1")+
			element("NewPortMappingDescription", "p2pchat")+element("NewLeaseDuration", strconv.Itoa(int(lifetime/time.Second)))); err == nil || found["errorCode"] != conflict {
			break
		}
		d.asked, d.external = false, uint16(1024+rand.IntN(1<<16-1024)) //nolint:gosec // a port, and no secret
	}
	m.External = netip.AddrPortFrom(at, d.external)
	return m, err
}

func (d *igd) remove(ctx context.Context) {
	if d.asked {
		_, _ = d.call(ctx, "DeletePortMapping", d.name()) // the mapping ends by itself
	}
}

// name returns the arguments that name the mapping.
func (d *igd) name() string {
	return element("NewRemoteHost", "") + element("NewExternalPort", strconv.Itoa(int(d.external))) + element("NewProtocol", "UDP")
}

func element(name, text string) string { return "<" + name + ">" + text + "</" + name + ">" }

// call calls an action of the service, and returns what the answer has. After an error, errorCode may be there.
func (d *igd) call(ctx context.Context, action, arguments string) (map[string]string, error) {
	body := `<?xml version="1.0"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" s:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"><s:Body>` +
		`<u:` + action + ` xmlns:u="` + d.service + `">` + arguments + `</u:` + action + `></s:Body></s:Envelope>`
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, d.control, strings.NewReader(body))
	if err != nil {
		return nil, errMalformed
	}
	r.Header.Set("Content-Type", `text/xml; charset="utf-8"`)
	r.Header["SOAPAction"] = []string{`"` + d.service + "#" + action + `"`} // some gateways want these capitals
	found := map[string]string{}
	status, err := d.do(r, func(name, text string) { found[name] = text })
	switch {
	case err != nil:
		return nil, err
	case status == http.StatusOK && found["errorCode"] == "":
		return found, nil
	}
	code, _ := strconv.Atoi(found["errorCode"]) // 0: it gives no reason
	return found, fmt.Errorf("%w: UPnP error %d", ErrRefused, code)
}

// do sends a request, and calls leaf for each element of the answer that holds only text.
func (d *igd) do(r *http.Request, leaf func(name, text string)) (status int, err error) {
	answer, err := d.client.Do(r)
	if err != nil {
		return 0, fmt.Errorf("asking the gateway over HTTP: %w", err)
	}
	defer answer.Body.Close()
	return answer.StatusCode, leaves(io.LimitReader(answer.Body, maxXML), leaf)
}

// leaves reads XML with bounds: encoding/xml knows none for depth.
func leaves(from io.Reader, leaf func(name, text string)) error {
	d := xml.NewDecoder(from)
	d.CharsetReader = func(string, io.Reader) (io.Reader, error) { return nil, errMalformed } // other than UTF-8
	var text []byte
	depth, elements, deeper := 0, 0, false
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) && elements > 0 {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%w: %w", errMalformed, err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			text, deeper = text[:0], false
			depth++
			elements++
		case xml.CharData:
			text = append(text, token...)
		case xml.EndElement:
			if !deeper {
				leaf(token.Name.Local, strings.TrimSpace(string(text)))
			}
			depth, deeper = depth-1, true
		}
		if depth > maxDepth || elements > maxElements {
			return fmt.Errorf("%w: it is too large", errMalformed)
		}
	}
}
