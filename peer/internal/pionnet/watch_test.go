package pionnet

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// looks counts how often a watch says to look, while the system tells what it tells.
func looks(t *testing.T, trusted bool, tell func(told chan bool, looks func() int)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, end := context.WithCancel(t.Context())
		told, changed, over := make(chan bool, 1), make(chan time.Time, 1), make(chan struct{})
		go func() { defer close(over); pace(ctx, told, changed, time.Second, trusted) }()
		var n atomic.Int64
		go func() {
			for range changed {
				n.Add(1)
			}
		}()
		tell(told, func() int {
			synctest.Wait()
			return int(n.Swap(0))
		})
		end()
		<-over
		close(changed)
	})
}

func TestPace(t *testing.T) {
	expect := func(t *testing.T, what string, got, least, most int) {
		t.Helper()
		if got < least || got > most {
			t.Errorf("%s: %d looks, expected %d to %d", what, got, least, most)
		}
	}

	t.Run("looks each interval until the system has told something, then seldom", func(t *testing.T) {
		looks(t, false, func(told chan bool, looks func() int) {
			time.Sleep(time.Minute)
			expect(t, "a silent minute", looks(), 60, 60)
			told <- false
			time.Sleep(time.Minute)
			expect(t, "a silent minute of a system that tells", looks(), 6, 6)
		})
	})

	t.Run("never looks where a trusted system tells nothing", func(t *testing.T) {
		looks(t, true, func(_ chan bool, looks func() int) {
			time.Sleep(time.Hour)
			expect(t, "an hour", looks(), 0, 0)
		})
	})

	t.Run("looks at once after a change, and once the routes have followed", func(t *testing.T) {
		looks(t, true, func(told chan bool, looks func() int) {
			told <- true
			expect(t, "at once", looks(), 1, 1)
			time.Sleep(settleTime)
			expect(t, "later", looks(), 1, 1)
			time.Sleep(time.Hour)
			expect(t, "for an hour", looks(), 0, 0)
			told <- true
			expect(t, "after the next one", looks(), 1, 1)
		})
	})

	t.Run("looks soon after the last of several changes", func(t *testing.T) {
		looks(t, true, func(told chan bool, looks func() int) {
			for range 5 {
				told <- true
				time.Sleep(30 * time.Millisecond)
			}
			looks()
			told <- true
			time.Sleep(5 * 35 * time.Millisecond)
			expect(t, "the last one", looks(), 1, 2)
		})
	})

	t.Run("looks at most twice a second while changes keep coming", func(t *testing.T) {
		looks(t, false, func(told chan bool, looks func() int) {
			for range 60 * 1000 {
				select {
				case told <- true:
				default:
				}
				time.Sleep(time.Millisecond)
			}
			expect(t, "a minute", looks(), 60, 120+15)
			time.Sleep(seldom)
			expect(t, "afterwards", looks(), 1, 3)
		})
	})

	t.Run("looks seldom, but does, while other news keeps coming", func(t *testing.T) {
		looks(t, false, func(told chan bool, looks func() int) {
			for range 10 * 60 {
				select {
				case told <- false:
				default:
				}
				time.Sleep(100 * time.Millisecond)
			}
			expect(t, "a while", looks(), 5, 7)
			told <- true
			time.Sleep(2 * longRest)
			expect(t, "a change among it", looks(), 1, 3)
		})
	})

	t.Run("looks each interval once the system tells no more", func(t *testing.T) {
		for _, trusted := range []bool{true, false} {
			looks(t, trusted, func(told chan bool, looks func() int) {
				told <- true
				time.Sleep(time.Minute)
				looks()
				close(told)
				expect(t, "at once", looks(), 1, 1)
				time.Sleep(time.Minute)
				expect(t, "a minute", looks(), 60, 61)
			})
		}
	})
}
