package server

import (
	"net"
	"net/http"
	"net/netip"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"

	"p2pchat/signaling"
	"p2pchat/signaling/internal/refused"
)

const longestID = 64 // of the ids that clients give their requests

// addresses returns how to find a client's address: it is that of the connection, unless the
// connection is of a trusted proxy, which names the client in X-Forwarded-For.
func addresses(proxies []netip.Prefix) echo.IPExtractor {
	if len(proxies) == 0 {
		return echo.ExtractIPDirect()
	}
	trust := []echo.TrustOption{echo.TrustLoopback(false), echo.TrustLinkLocal(false), echo.TrustPrivateNet(false)}
	for _, p := range proxies {
		p = p.Masked()
		trust = append(trust, echo.TrustIPRange(&net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}))
	}
	return echo.ExtractIPFromXFFHeader(trust...)
}

// clientOf returns the address of the client that sent the request.
func clientOf(c echo.Context) netip.Addr {
	a, _ := netip.ParseAddr(c.RealIP()) // the zero one for a client that has none, as in tests
	return a.Unmap()
}

// inLog returns an address as the log may have it.
func (s *Server) inLog(a netip.Addr) string {
	if s.config.LogAddresses {
		return a.String()
	}
	return refused.Network(a)
}

func idOf(c echo.Context) string { return c.Response().Header().Get(echo.HeaderXRequestID) }

func isID(s string) bool {
	if len(s) == 0 || len(s) > longestID {
		return false
	}
	for _, b := range []byte(s) {
		if b <= ' ' || b > '~' || b == '"' || b == '\\' {
			return false
		}
	}
	return true
}

// origins lets pages of other origins use the server.
func origins(list []string) echo.MiddlewareFunc {
	return middleware.CORSWithConfig(middleware.CORSConfig{
		AllowOrigins: list,
		AllowMethods: []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodDelete},
		AllowHeaders: []string{
			echo.HeaderAuthorization, echo.HeaderContentType, "If-Match", "If-None-Match", "Prefer", signaling.KeyHeader, echo.HeaderXRequestID,
		},
		ExposeHeaders: []string{"ETag", echo.HeaderLocation, echo.HeaderRetryAfter, "Preference-Applied", signaling.RoomDigitsHeader, echo.HeaderXRequestID},
		MaxAge:        600,
	})
}
