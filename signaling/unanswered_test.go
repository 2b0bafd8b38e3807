package signaling_test

import (
	"errors"
	"net/http"
	"net/url"
	"testing"

	"p2pchat/signaling"
)

// A server that sends before the request causes one of two errors, by chance: a malformed response,
// or this error of net/http, whose text is a bug.
func TestUnanswered(t *testing.T) {
	early := &url.Error{Op: http.MethodGet, URL: "http://127.0.0.1:22/readyz", Err: errors.New("readLoopPeekFailLocked: %!w(<nil>)")}
	err := signaling.Unanswered(t.Context(), early)
	if !errors.Is(err, signaling.ErrForeign) || err.Error() != "that is not a p2pchat server: it does not speak HTTP" {
		t.Error(err)
	}
}
