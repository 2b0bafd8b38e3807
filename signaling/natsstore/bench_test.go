package natsstore_test

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"p2pchat/signaling"
	"p2pchat/signaling/memstore"
	"p2pchat/signaling/natsstore"
)

// BenchmarkSeen measures the time from a write at one server until a waiting read at another server
// returns it, on a cluster of three nodes in this process.
func BenchmarkSeen(b *testing.B) {
	c := nats(b, 3)
	limits := memstore.Limits{Rooms: 1 << 20}
	at, to := c.open(b, "sig", limits), observed(b, c.open(b, "sig", limits))
	var took []time.Duration
	for n := 0; b.Loop(); n++ {
		caller := signaling.NewTicket(fmt.Sprint("room", n), signaling.Caller)
		seen := to.waits(caller, signaling.Caller, -1)
		started := time.Now()
		_, err := at.Offer(b.Context(), caller, offer)
		ok(b, err)
		receive(b, seen, nil)
		took = append(took, time.Since(started))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "µs-p50")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "µs-p99")
}

// BenchmarkMeet measures calls of two peers at two servers, 64 at once.
func BenchmarkMeet(b *testing.B) {
	c := nats(b, 3)
	limits := memstore.Limits{Rooms: 1 << 20}
	at := []signaling.Store{c.open(b, "sig", limits), c.open(b, "sig", limits)}
	var n atomic.Int64
	var all sync.WaitGroup
	for range 64 {
		all.Go(func() {
			for i := n.Add(1); i <= int64(b.N); i = n.Add(1) {
				if err := meet(b, at[i%2], at[(i+1)%2], fmt.Sprint("r", i)); err != nil {
					b.Error(err)
				}
			}
		})
	}
	all.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
	b.ReportMetric(4*float64(b.N)/b.Elapsed().Seconds(), "writes/s")
}

// BenchmarkStart measures the start of a server that has to load 10,000 rooms.
func BenchmarkStart(b *testing.B) {
	const rooms = 10_000
	c := nats(b, 1)
	limits := memstore.Limits{Rooms: rooms}
	first := c.open(b, "sig", limits)
	big := signaling.Description(`{"type":"offer","sdp":"` + strings.Repeat("o", 5600) + `"}`)
	var all sync.WaitGroup
	for w := range 64 {
		all.Go(func() {
			for i := w; i < rooms; i += 64 {
				if _, err := first.Offer(b.Context(), signaling.NewTicket(fmt.Sprint("r", i), signaling.Caller), big); err != nil {
					b.Error(err)
				}
			}
		})
	}
	all.Wait()
	for b.Loop() {
		s, err := natsstore.Open(b.Context(), natsstore.Config{URL: c.url(), Limits: limits, Log: slog.New(slog.DiscardHandler)})
		ok(b, err)
		if n := s.Rooms(); n != rooms {
			b.Errorf("it has %d rooms", n)
		}
		s.Stop()
	}
}
