package server

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"p2pchat/signaling"
)

func (s *Server) getHealth(c echo.Context) error { return c.String(http.StatusOK, "ok\n") }

func (s *Server) getReady(c echo.Context) error {
	if err := s.ready(); err != nil {
		return err
	}
	return c.String(http.StatusOK, "ready\n")
}

// ready returns nil if the server takes new work.
func (s *Server) ready() error {
	if s.draining.Err() != nil {
		return signaling.ErrDraining
	}
	return s.config.Ready()
}
