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
	"github.com/rs/cors"

	"p2pchat/signaling"
)

// originRules lets pages of these origins use the server (CORS). It returns nil if there are none.
func originRules(origins []string) *cors.Cors {
	if len(origins) == 0 {
		return nil
	}
	return cors.New(cors.Options{
		AllowedOrigins: origins,
		AllowedMethods: []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodDelete},
		AllowedHeaders: []string{
			echo.HeaderAuthorization, echo.HeaderContentType, "If-Match", "If-None-Match", "Prefer", signaling.KeyHeader, echo.HeaderXRequestID,
		},
		ExposedHeaders: []string{"ETag", echo.HeaderLocation, echo.HeaderRetryAfter, "Preference-Applied", signaling.RoomDigitsHeader, echo.HeaderXRequestID},
		MaxAge:         600,
	})
}

// allowOrigin sets the headers that let a page of another origin read the response. It reports whether the request was a preflight,
// which it answers.
func allowOrigin(rules *cors.Cors, c echo.Context) (answered bool) {
	r := c.Request()
	rules.HandlerFunc(c.Response(), r)
	return r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != ""
}

// guardPages refuses requests that a web page of another site makes a browser send. Such a page
// may send requests to a server on the person's own machine, though it cannot read the replies
// (CORS), unless the page's name leads there (DNS rebinding). Clients other than browsers send
// neither Origin nor Sec-Fetch-Site, and are served whatever their Content-Type.
func (s *Server) guardPages(c echo.Context) error {
	r := c.Request()
	if err := s.guardHost(r, s.onLoopback.Load()); err != nil {
		return err
	}
	if r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == http.MethodOptions {
		return nil
	}
	origin, site := r.Header.Get("Origin"), r.Header.Get("Sec-Fetch-Site")
	if origin == "" && site == "" {
		return nil
	}
	if !s.mayWrite(r, origin, site) {
		return fmt.Errorf("%w: %q", signaling.ErrOtherSite, origin)
	}
	if r.ContentLength != 0 && !isJSON(r.Header.Get("Content-Type")) {
		return signaling.ErrNotJSON
	}
	return nil
}

// guardHost refuses requests for names other than this machine's if the server listens on
// loopback: another name that leads there is DNS rebinding, unless it is the name of a proxy, as
// --trusted-proxy or --public-url says. Over TLS, the certificate already vouches for the name.
func (s *Server) guardHost(r *http.Request, onLoopback bool) error {
	if s.config.Nameless && net.ParseIP(hostname(r.Host)) == nil && !isLoopbackHost(r.Host) {
		return signaling.ErrOtherHost
	}
	if !onLoopback || r.TLS != nil || r.Host == "" || isLoopbackHost(r.Host) || s.fromProxy(r) {
		return nil
	}
	if u, err := url.Parse(s.config.PublicURL); err == nil && u.Hostname() != "" && strings.EqualFold(u.Hostname(), hostname(r.Host)) {
		return nil
	}
	return signaling.ErrOtherHost
}

// guardMetrics returns the handler of Metrics behind guardHost.
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

// mayWrite reports whether a page of an origin may write; site is Sec-Fetch-Site. Scripts cannot
// set that, so same-origin holds even if a proxy has changed the Host.
func (s *Server) mayWrite(r *http.Request, origin, site string) bool {
	switch {
	case slices.Contains(s.config.Origins, "*"), origin != "" && slices.Contains(s.config.Origins, origin):
		return true
	case site != "":
		return site == "same-origin" || site == "none"
	}
	return sameHost(origin, r.Host) || sameHost(origin, hostOf(s.config.PublicURL))
}

// sameHost reports whether host is the host of an address. A port that is left out is the default
// of the address's scheme: TLS may end at a proxy, so the request's scheme is not known.
func sameHost(address, host string) bool {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || host == "" {
		return false
	}
	port := map[string]string{"http": "80", "https": "443"}[u.Scheme]
	return strings.EqualFold(withPort(u.Host, port), withPort(host, port))
}

// withPort returns host with port if host has none.
func withPort(host, port string) string {
	if _, _, err := net.SplitHostPort(host); err == nil {
		return host
	}
	return net.JoinHostPort(strings.Trim(host, "[]"), port)
}

// hostOf returns the host and port of a URL, or nothing.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Host
}

// hostname returns a Host without its port.
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

// isLoopback reports whether only this machine reaches a listener's address.
func isLoopback(a net.Addr) bool {
	at, ok := a.(*net.TCPAddr)
	return ok && at.IP.IsLoopback()
}

// isJSON reports whether a Content-Type is JSON (RFC 6839, section 3.1).
func isJSON(contentType string) bool {
	kind, _, err := mime.ParseMediaType(contentType)
	return err == nil && (kind == "application/json" || strings.HasPrefix(kind, "application/") && strings.HasSuffix(kind, "+json"))
}
