package server

import (
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
)

// Values of headers; net/http does not change them.
var (
	contentJSON     = []string{echo.MIMEApplicationJSON}
	noStore         = []string{"no-store"}
	noSniff         = []string{"nosniff"}
	deny            = []string{"DENY"}
	noContent       = []string{"default-src 'none'; frame-ancestors 'none'"} // the page sets one of its own
	noReferrer      = []string{"no-referrer"}
	strictTransport = []string{"max-age=31536000"} // browsers use https for a year (RFC 6797)
)

// setHeaders sets the headers of every response, and the deadlines for a client to send its body and to take
// the response.
func (s *Server) setHeaders(own *requestContext) {
	r, w := own.Request(), own.Response()
	h := w.Header()
	h["Cache-Control"] = noStore
	h["X-Content-Type-Options"] = noSniff
	h["X-Frame-Options"] = deny
	h["Content-Security-Policy"] = noContent
	h["Referrer-Policy"] = noReferrer
	h["X-Request-Id"] = []string{own.info.id}
	if r.TLS != nil && !isLoopbackHost(r.Host) { // other servers on localhost may not have TLS
		h["Strict-Transport-Security"] = strictTransport
	}
	own.writer = deadlineWriter{w.Writer, s.config.SlowClient}
	w.Writer = &own.writer
	if r.ContentLength != 0 {
		// The handler reads the body, or net/http discards it. The ResponseWriters of some tests have no deadlines.
		_ = http.NewResponseController(own.writer.ResponseWriter).SetReadDeadline(own.came.Add(s.config.SlowClient))
	}
}

// A deadlineWriter gives a client some time to take the response.
type deadlineWriter struct {
	http.ResponseWriter
	slowClient time.Duration
}

// WriteHeader implements http.ResponseWriter.
func (w *deadlineWriter) WriteHeader(status int) {
	// Twice, because net/http first reads a body that the handler did not read.
	_ = http.NewResponseController(w.ResponseWriter).SetWriteDeadline(time.Now().Add(2 * w.slowClient))
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController.
func (w *deadlineWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
