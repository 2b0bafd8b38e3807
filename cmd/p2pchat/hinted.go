package main

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"p2pchat/signaling"
)

// A hintedError has another hint than its kind has.
type hintedError struct {
	error
	hint string
}

func (e hintedError) Unwrap() error { return e.error }

// withHint returns err of a request to server, with the --server that may be right if the scheme or the
// path seems to be wrong.
func withHint(server string, err error) error {
	u, bad := url.Parse(server)
	if bad != nil {
		return err
	}
	path := strings.TrimRight(u.Path, "/")
	switch {
	case errors.Is(err, signaling.ErrHTTP):
		return hintedError{err, "did you mean --server http://" + u.Host + path + "?"}
	case errors.Is(err, signaling.ErrHTTPS):
		return hintedError{err, "did you mean --server https://" + u.Host + path + "?"}
	case errors.Is(err, signaling.ErrForeign) && path != "":
		return hintedError{err, fmt.Sprintf("the path %s may be wrong; did you mean --server %s://%s?", path, u.Scheme, u.Host)}
	}
	return err
}
