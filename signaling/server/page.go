package server

import (
	_ "embed"
	"net/http"

	"github.com/labstack/echo/v4"

	"p2pchat/signaling/web"
)

//go:embed openapi.yaml
var openAPI []byte

func (s *Server) getOpenAPI(c echo.Context) error {
	return c.Blob(http.StatusOK, "application/yaml", openAPI)
}

// page returns the handler of the page for browsers and its files.
func page() echo.HandlerFunc { return echo.WrapHandler(web.Handler()) }
