package signaling

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
)

// Errors about the scheme of a server's address. They wrap [ErrForeign].
var (
	ErrHTTP  = fmt.Errorf("%w over https: its address begins with http://", ErrForeign)
	ErrHTTPS = fmt.Errorf("%w over http: its address begins with https://", ErrForeign)
)

// Unanswered explains the error of an HTTP request without a response, for people. It returns an
// error that wraps [ErrForeign] if another kind of server listens there, and [ErrUnreachable]
// otherwise, or [ErrNoReply] if nothing answers there; that of a proxy stays
// as it is. It takes the text about a timeout from the cause of ctx, the request's context. The text has neither the request
// nor this machine's ports.
func Unanswered(ctx context.Context, err error) error {
	lookup := (*net.DNSError)(nil)
	var timeout net.Error
	cause := context.Cause(ctx)
	if failure := ofProxy(err); failure != nil {
		return failure
	}
	if failure := ofOtherProtocol(err); failure != nil {
		return failure
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded) && cause != nil && !errors.Is(cause, context.DeadlineExceeded):
		return fmt.Errorf("%w: %w", ErrNoReply, cause)
	case errors.As(err, &timeout) && timeout.Timeout() && ctx.Err() == nil: // the http.Client's own
		return fmt.Errorf("%w: no answer in time", ErrNoReply)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%w: it hung up without an answer", ErrUnreachable)
	case errors.As(err, &lookup) && lookup.IsNotFound:
		return fmt.Errorf("%w: there is no host %q", ErrNoReply, lookup.Name)
	case nothingAnswers(ctx, err):
		return fmt.Errorf("%w: %w", ErrNoReply, plain(err))
	}
	return fmt.Errorf("%w: %w", ErrUnreachable, plain(err))
}

// ofOtherProtocol returns what err says of a server that speaks something else, or nil.
func ofOtherProtocol(err error) error {
	noTLS := tls.RecordHeaderError{}
	switch text := err.Error(); {
	case errors.Is(err, http.ErrSchemeMismatch):
		return ErrHTTP
	case errors.As(err, &noTLS), strings.Contains(text, "tls: received unexpected handshake message"): // the second is from a server that echoes
		return fmt.Errorf("%w: it does not speak TLS, which https needs", ErrForeign)
	case strings.Contains(text, `malformed HTTP response "\x15\x03`): // a TLS alert, RFC 8446, section 5.1
		return ErrHTTPS
	case strings.Contains(text, "malformed HTTP"), strings.Contains(text, "readLoopPeekFailLocked: %!w(<nil>)"): // the second is from a server that sends before the request
		return fmt.Errorf("%w: it does not speak HTTP", ErrForeign)
	}
	return nil
}

// nothingAnswers reports whether err is that of a name, of a connection that could not be made, or of a time that is over.
func nothingAnswers(ctx context.Context, err error) bool {
	to, cause := (*net.OpError)(nil), context.Cause(ctx)
	return errors.As(err, &to) && to.Op == "dial" || errors.As(err, new(*net.DNSError)) || errors.Is(err, errSilent) ||
		cause != nil && !errors.Is(cause, context.Canceled) && errors.Is(err, cause)
}

// ofProxy returns what err says of a proxy, or nil if it is about the server.
func ofProxy(err error) error {
	to := (*net.OpError)(nil)
	switch {
	case errors.As(err, &to) && to.Op == "proxyconnect": // by net/http, to a proxy of the environment
		return fmt.Errorf("%w: %w", ErrProxy, plain(err))
	case errors.Is(err, ErrProxy), errors.Is(err, ErrProxyRefuses):
		return plain(err)
	}
	return nil
}

// CheckScheme returns [ErrHTTPS] if the response to a request over http is from a server that
// expects https. The body may be incomplete, because such a server closes the connection.
func CheckScheme(res *http.Response, body []byte) error {
	text := string(body)
	if res.StatusCode == http.StatusBadRequest && res.Request.URL.Scheme == "http" && (strings.Contains(text, "HTTPS server") || strings.Contains(text, "HTTPS port")) { // net/http, nginx
		return ErrHTTPS
	}
	return nil
}

// Unexplained returns the error of a response that reports a failure, but is no [Problem] of a p2pchat server:
// [ErrGateway], or else [ErrForeign].
func Unexplained(res *http.Response) error {
	kind := ErrForeign
	switch res.StatusCode {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		kind = ErrGateway
	}
	return fmt.Errorf("%w: it answered %q", kind, cut(res.Status))
}

// plain removes the request, the addresses and the system call from err.
func plain(err error) error {
	for {
		var inner error
		switch e := err.(type) { //nolint:errorlint // the outermost error only
		case *url.Error:
			inner = e.Err
		case *net.OpError:
			inner = e.Err
		case *os.SyscallError:
			inner = e.Err
		default:
			return err
		}
		err = inner
	}
}
