package pionnet

import (
	"context"
	"sync"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
)

// Windows calls back on threads of its own; here, those of its timers do. The third argument that a change has is missing.
func TestWindowsTells(t *testing.T) {
	kernel := windows.NewLazySystemDLL("kernel32.dll")
	call := func(t *testing.T) {
		t.Helper()
		var timer windows.Handle
		const once = 0x8 // WT_EXECUTEONLYONCE
		ok, _, err := kernel.NewProc("CreateTimerQueueTimer").Call(uintptr(unsafe.Pointer(&timer)), 0, callback(), 0, 0, 0, once)
		if ok == 0 {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_, _, _ = kernel.NewProc("DeleteTimerQueueTimer").Call(0, uintptr(timer), ^uintptr(0)) // waits for the call
		})
	}

	// A goroutine that waits for a call alone is a deadlock to Go. A watch waits for the next look, too.
	await := func(t *testing.T, told <-chan bool) {
		t.Helper()
		select {
		case <-told:
		case <-time.After(10 * time.Second):
			t.Fatal("nothing is told")
		}
	}

	t.Run("each watch until it ends", func(t *testing.T) {
		first, second := make(chan bool, 1), make(chan bool, 1)
		endFirst, err := subscribe(t.Context(), first, nil)
		if err != nil {
			t.Fatal(err)
		}
		endSecond, err := subscribe(t.Context(), second, nil)
		if err != nil {
			t.Fatal(err)
		}
		call(t)
		await(t, first)
		await(t, second)
		endFirst()
		call(t)
		await(t, second)
		if len(first) > 0 {
			t.Error("a watch that has ended is told")
		}
		endSecond()
		if len(watches.told) > 0 {
			t.Error("watches that have ended are kept")
		}
	})

	t.Run("more watches than Go allows callbacks", func(t *testing.T) {
		for range 2500 {
			end, err := subscribe(t.Context(), make(chan bool, 1), nil)
			if err != nil {
				t.Fatal(err)
			}
			end()
		}
	})

	t.Run("what asks for a look", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		defer wg.Wait()
		defer cancel()
		changed := WatchRoutes(ctx, time.Hour, wg.Go)
		call(t)
		<-changed
	})
}
