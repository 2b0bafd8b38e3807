package main

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"p2pchat/signaling"
)

// A hintedError has its own hint, instead of the hint in endings.
type hintedError struct {
	error
	hint string
}

func (e hintedError) Unwrap() error { return e.error }

// atServer adds the server's address, and a hint if one helps, to an error of requests to it.
func atServer(server string, err error) error {
	if isProxyFailure(err) || errors.As(err, &unopenedError{}) { // the second names it by itself
		return err
	}
	if errors.Is(err, signaling.ErrUnreachable) || errors.Is(err, signaling.ErrForeign) || errors.As(err, &signaling.Problem{}) {
		return withHint(server, fmt.Errorf("%s: %w", server, err))
	}
	return err
}

// withHint adds a hint to err, the error of a request to server, if the URL's scheme or path seems to be wrong.
func withHint(server string, err error) error {
	u, bad := url.Parse(server)
	if bad != nil {
		return err
	}
	path := strings.TrimRight(u.Path, "/")
	p := signaling.Problem{}
	noSuchAddress := errors.As(err, &p) && p.Type == "urn:p2pchat:not-found"
	switch {
	case errors.Is(err, signaling.ErrHTTP):
		return hintedError{err, "did you mean --server http://" + u.Host + path + "?"}
	case errors.Is(err, signaling.ErrHTTPS):
		return hintedError{err, "did you mean --server https://" + u.Host + path + "?"}
	case path != "" && (noSuchAddress || errors.Is(err, signaling.ErrForeign)):
		return hintedError{err, fmt.Sprintf("the path %s may be wrong; did you mean --server %s://%s?", path, u.Scheme, u.Host)}
	}
	return err
}
