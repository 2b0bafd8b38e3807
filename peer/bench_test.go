package peer_test

import (
	"context"
	"io"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/pion/logging"
	"github.com/pion/webrtc/v4"

	"p2pchat/peer"
	"p2pchat/signaling/memstore"
)

// Every benchmark measures its rivals in the same run: trust the ratios more than the
// figures.

// p returns the quantile q of samples.
func p(q float64, samples []time.Duration) time.Duration {
	slices.Sort(samples)
	return samples[int(q*float64(len(samples)-1))]
}

func ratio(ours, theirs time.Duration) float64 { return float64(ours) / float64(theirs) }

// How long Call and Answer take until both pipes are open, beside two PeerConnections
// of one program that swap what they have in memory.
func BenchmarkConnect(b *testing.B) {
	var ours, same, defaults []time.Duration
	for b.Loop() {
		begun := time.Now()
		store := memstore.New(memstore.Limits{})
		caller, callee := peer.Call(store, code(room), quiet()), peer.Answer(store, code(room), quiet())
		pipeOf(b, caller)
		pipeOf(b, callee)
		ours = append(ours, time.Since(begun))
		caller.Close()
		callee.Close()

		begun = time.Now()
		_, _, hangUp := bare(b)
		same = append(same, time.Since(begun))
		hangUp()

		begun = time.Now()
		hangUp = plain(b)
		defaults = append(defaults, time.Since(begun))
		hangUp()
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(p(.5, ours).Microseconds())/1000, "ms/connect")
	b.ReportMetric(float64(p(.95, ours).Microseconds())/1000, "p95-ms")
	b.ReportMetric(float64(p(.5, same).Microseconds())/1000, "same-settings-ms")
	b.ReportMetric(float64(p(.5, defaults).Microseconds())/1000, "pion-defaults-ms")
	b.ReportMetric(ratio(p(.5, ours), p(.5, same)), "x-same-settings")
	b.ReportMetric(ratio(p(.5, ours), p(.5, defaults)), "x-pion-defaults")
}

// The round trip of 64 bytes, beside that over two bare detached DataChannels.
func BenchmarkMessage(b *testing.B) {
	caller, callee := connected(b)
	near, far, hangUp := bare(b)
	ctx, cancel := context.WithCancel(b.Context())
	var wg sync.WaitGroup
	defer func() {
		cancel()
		hangUp()
		wg.Wait()
	}()
	wg.Go(func() {
		for {
			m, err := callee.Recv(ctx)
			if err != nil || callee.Send(ctx, m) != nil {
				return
			}
		}
	})
	wg.Go(func() { _, _ = io.CopyBuffer(struct{ io.Writer }{far}, struct{ io.Reader }{far}, make([]byte, 1024)) })
	message, buffer := make([]byte, 64), make([]byte, 1024)
	var ours, theirs []time.Duration
	for b.Loop() {
		begun := time.Now()
		if err := caller.Send(ctx, message); err != nil {
			b.Fatal(err)
		}
		if _, err := caller.Recv(ctx); err != nil {
			b.Fatal(err)
		}
		ours = append(ours, time.Since(begun))

		begun = time.Now()
		if _, err := near.Write(message); err != nil {
			b.Fatal(err)
		}
		if _, err := near.Read(buffer); err != nil {
			b.Fatal(err)
		}
		theirs = append(theirs, time.Since(begun))
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(p(.5, ours).Nanoseconds())/1000, "p50-µs")
	b.ReportMetric(float64(p(.99, ours).Nanoseconds())/1000, "p99-µs")
	b.ReportMetric(ratio(p(.5, ours), p(.5, theirs)), "x-bare-p50")
	b.ReportMetric(ratio(p(.99, ours), p(.99, theirs)), "x-bare-p99")
}

// What goes one way in messages of 64 KiB, beside a bare detached DataChannel.
func BenchmarkThroughput(b *testing.B) {
	const size, count = 64 << 10, 128
	caller, callee := connected(b)
	near, far, hangUp := bare(b)
	defer hangUp()
	message, buffer := make([]byte, size), make([]byte, size)
	ctx := b.Context()
	flow := func(write func() error, read func() error) time.Duration {
		begun := time.Now()
		var wg sync.WaitGroup
		wg.Go(func() {
			for range count {
				if err := write(); err != nil {
					b.Error(err)
					return
				}
			}
		})
		for range count {
			if err := read(); err != nil {
				b.Fatal(err)
			}
		}
		wg.Wait()
		return time.Since(begun)
	}
	var ours, theirs []time.Duration
	for b.Loop() {
		ours = append(ours, flow(
			func() error { return caller.Send(ctx, message) },
			func() error { _, err := callee.Recv(ctx); return err },
		))
		theirs = append(theirs, flow(
			func() error { _, err := near.Write(message); return err },
			func() error { _, err := far.Read(buffer); return err },
		))
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(size*count/1e6/p(.5, ours).Seconds(), "MB/s")
	b.ReportMetric(ratio(p(.5, theirs), p(.5, ours)), "x-bare-speed")
}

// What a session costs that is connected and says nothing.
func BenchmarkIdle(b *testing.B) {
	const pairs = 20
	for b.Loop() {
		store := memstore.New(memstore.Limits{})
		before, goroutines := memory(), runtime.NumGoroutine()
		var sessions []*peer.Session
		for range pairs {
			caller, callee := peer.Call(store, code(room), quiet()), peer.Answer(store, code(room), quiet())
			talk(b, pipeOf(b, caller), pipeOf(b, callee))
			sessions = append(sessions, caller, callee)
			eventually(b, "the room is free", func() bool { return !stands(b, store) })
		}
		b.ReportMetric(float64(memory()-before)/1024/float64(len(sessions)), "KiB/session")
		b.ReportMetric(float64(runtime.NumGoroutine()-goroutines)/float64(len(sessions)), "goroutines/session")
		for _, s := range sessions {
			s.Close()
		}
	}
	b.ReportMetric(0, "ns/op")
}

func memory() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse) //nolint:gosec // far below
}

// bare returns a pair of channels with a Session's settings.
func bare(b *testing.B) (near, far io.ReadWriteCloser, hangUp func()) {
	b.Helper()
	near, far, hangUp, err := peer.Bare(b.Context(), quiet())
	if err != nil {
		b.Fatal(err)
	}
	return near, far, hangUp
}

// plain connects two PeerConnections with pion's own settings, except that their channels are detached.
func plain(b *testing.B) (hangUp func()) {
	b.Helper()
	engine := webrtc.SettingEngine{LoggerFactory: &logging.DefaultLoggerFactory{Writer: io.Discard}}
	engine.DetachDataChannels()
	var pair [2]*webrtc.PeerConnection
	for i := range pair {
		pc, err := webrtc.NewAPI(webrtc.WithSettingEngine(engine)).NewPeerConnection(webrtc.Configuration{})
		if err != nil {
			b.Fatal(err)
		}
		pair[i] = pc
	}
	if _, _, err := peer.Introduce(b.Context(), pair[0], pair[1]); err != nil {
		b.Fatal(err)
	}
	return func() {
		_ = pair[0].GracefulClose()
		_ = pair[1].GracefulClose()
	}
}
