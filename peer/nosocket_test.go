package peer

import (
	"errors"
	"strings"
	"syscall"
	"testing"
)

// A side that got no socket says why, so that no relay is looked for.
func TestNoSocketIsTold(t *testing.T) {
	a := &attempt{noSocket: syscall.EMFILE}
	for _, err := range []error{a.noAnswer("none of their addresses answered"), a.unmet()} {
		if !errors.Is(err, ErrNoPath) || !errors.Is(err, syscall.EMFILE) || !strings.Contains(err.Error(), "this side has no address") {
			t.Errorf("the error is %v", err)
		}
	}
	if err := (&attempt{}).noAnswer("none answered"); !errors.Is(err, ErrNoPath) || !strings.HasSuffix(err.Error(), "none answered (this side gave no address at all; the other side no address at all)") {
		t.Errorf("with a socket it is %v", err)
	}
	if err := trySocket(t.Context()); err != nil {
		t.Error(err)
	}
}
