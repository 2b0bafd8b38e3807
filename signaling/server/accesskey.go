package server

import (
	"crypto/sha256"
	"crypto/subtle"

	"github.com/labstack/echo/v4"

	"p2pchat/signaling"
)

// requireKey refuses requests without the access key if the server has one.
func (s *Server) requireKey(next echo.HandlerFunc) echo.HandlerFunc {
	if s.config.AccessKey == "" {
		return next
	}
	return func(c echo.Context) error {
		if !s.hasKey(c) {
			if c.Request().Header.Get(signaling.KeyHeader) != "" {
				s.refuse(limitKey, infoOf(c).client)
			}
			return signaling.ErrNoKey
		}
		return next(c)
	}
}

// hasKey reports whether a request has the access key.
func (s *Server) hasKey(c echo.Context) bool {
	want := sha256.Sum256([]byte(s.config.AccessKey))
	got := sha256.Sum256([]byte(c.Request().Header.Get(signaling.KeyHeader)))
	return subtle.ConstantTimeCompare(got[:], want[:]) == 1
}
