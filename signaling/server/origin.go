package server

import (
	"fmt"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"p2pchat/signaling"
)

// guardPages refuses what a web page of another site makes a browser send. Such a page may
// send requests to a server on the person's own machine, though it cannot read the replies
// (CORS), unless its name leads there (DNS rebinding). Clients that are no browsers send
// neither Origin nor Sec-Fetch-Site, and are served whatever their Content-Type.
func (s *Server) guardPages(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		if err := s.guardHost(r, s.onLoopback.Load()); err != nil {
			return err
		}
		if r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == http.MethodOptions {
			return next(c)
		}
		origin, site := r.Header.Get("Origin"), r.Header.Get("Sec-Fetch-Site")
		if origin == "" && site == "" {
			return next(c)
		}
		if !s.mayWrite(r, origin, site) {
			return fmt.Errorf("%w: %q", signaling.ErrOtherSite, origin)
		}
		if r.ContentLength != 0 && !isJSON(r.Header.Get("Content-Type")) {
			return signaling.ErrNotJSON
		}
		return next(c)
	}
}

// guardHost refuses requests for other names where the server listens on loopback: a name
// that leads there is DNS rebinding, unless it is of a proxy that --trusted-proxy or
// --public-url tells of. Over TLS, the certificate already vouches for the name.
func (s *Server) guardHost(r *http.Request, onLoopback bool) error {
	if !onLoopback || r.TLS != nil || r.Host == "" || isLoopbackHost(r.Host) || s.fromProxy(r) {
		return nil
	}
	if u, err := url.Parse(s.config.PublicURL); err == nil && u.Hostname() != "" && strings.EqualFold(u.Hostname(), hostname(r.Host)) {
		return nil
	}
	return signaling.ErrOtherHost
}

// guardMetrics is Metrics, guarded by guardHost.
func (s *Server) guardMetrics(onLoopback bool) http.Handler {
	metrics := s.Metrics()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.guardHost(r, onLoopback) != nil {
			s.refuse(limitOtherHost, netip.Addr{})
			http.Error(w, "The metrics are on this machine alone: ask for localhost.", http.StatusForbidden)
			return
		}
		metrics.ServeHTTP(w, r)
	})
}

// mayWrite reports whether a page of that origin may write. Scripts cannot set
// Sec-Fetch-Site, so same-origin holds even where a proxy has changed the Host.
func (s *Server) mayWrite(r *http.Request, origin, site string) bool {
	switch {
	case slices.Contains(s.config.Origins, "*"), origin != "" && slices.Contains(s.config.Origins, origin):
		return true
	case site != "":
		return site == "same-origin" || site == "none"
	}
	return sameHost(origin, r.Host) || sameHost(origin, hostOf(s.config.PublicURL))
}

// sameHost reports whether the host of an address is that one. A port that is left out is
// the address's own: TLS may end at a proxy, so the request does not tell.
func sameHost(address, host string) bool {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || host == "" {
		return false
	}
	port := map[string]string{"http": "80", "https": "443"}[u.Scheme]
	return strings.EqualFold(withPort(u.Host, port), withPort(host, port))
}

func withPort(host, port string) string {
	if _, _, err := net.SplitHostPort(host); err == nil {
		return host
	}
	return net.JoinHostPort(strings.Trim(host, "[]"), port)
}

func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Host
}

// hostname is a Host without its port.
func hostname(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return strings.Trim(host, "[]")
}

// isLoopbackHost reports whether a Host names this machine (RFC 6761, section 6.3).
func isLoopbackHost(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(hostname(host), "."))
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback()
}

// isLoopback reports whether a listener's address is reached from this machine alone.
func isLoopback(a net.Addr) bool {
	at, ok := a.(*net.TCPAddr)
	return ok && at.IP.IsLoopback()
}

func isJSON(contentType string) bool {
	kind, _, err := mime.ParseMediaType(contentType)
	return err == nil && (kind == "application/json" || strings.HasPrefix(kind, "application/") && strings.HasSuffix(kind, "+json"))
}
