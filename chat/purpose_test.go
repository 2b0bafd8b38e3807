package chat

import (
	"testing"
	"time"
)

func TestPurpose(t *testing.T) {
	t.Run("a program that does not chat ends the conversation at once", func(t *testing.T) {
		withRaw(t, func(t *testing.T, a *talker, r raw) {
			begun := time.Now()
			h := good
			h.Purpose = "bench message"
			r.hello(h)
			if err := a.end(); err != ErrPurpose { //nolint:errorlint // nothing is to be wrapped around it
				t.Errorf("it ends with %v", err)
			}
			within(t, begun, 0)
			if c := only[Connected](a.seen()); len(c) > 0 {
				t.Errorf("it hears of a connection: %+v", c)
			}
		})
	})
}
