package memstore

import (
	"context"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"

	"p2pchat/signaling"
)

// One exchange is 5.7 KB of documents, as two peers with ten candidates a side write.
var (
	bigOffer  = signaling.Description(`{"type":"offer","sdp":"` + strings.Repeat("o", 1250) + `"}`)
	bigAnswer = signaling.Description(`{"type":"answer","sdp":"` + strings.Repeat("a", 1250) + `"}`)
	candidate = signaling.Candidate(`{"candidate":"` + strings.Repeat("c", 143) + `"}`)
)

func exchange(tb testing.TB, s *Store, room string) (caller signaling.Ticket) {
	ctx := context.Background()
	caller, callee := signaling.NewTicket(room, signaling.Caller), signaling.NewTicket(room, signaling.Callee)
	v, err := s.Offer(ctx, caller, bigOffer)
	ok(tb, err)
	_, _, err = s.Description(ctx, signaling.Ticket{Room: room}, signaling.Caller, "", 0)
	ok(tb, err)
	_, err = s.Answer(ctx, callee, v, bigAnswer)
	ok(tb, err)
	_, _, err = s.Description(ctx, caller, signaling.Callee, "", 0)
	ok(tb, err)
	for i := range 10 {
		for _, t := range []signaling.Ticket{caller, callee} {
			_, err = s.AddCandidates(ctx, t, i, candidate)
			ok(tb, err)
			_, err = s.Candidates(ctx, t, t.Side, i, 0)
			ok(tb, err)
		}
	}
	return caller
}

func ok(tb testing.TB, err error) {
	if err != nil {
		tb.Helper()
		tb.Fatal(err)
	}
}

// BenchmarkExchange is a call, from offer to close, among other rooms: the cost must not grow with
// their number.
func BenchmarkExchange(b *testing.B) {
	for _, others := range []int{1_000, 10_000, 100_000} {
		b.Run(fmt.Sprintf("rooms=%d", others), func(b *testing.B) {
			s := New(Limits{Rooms: others + 1})
			for i := range others {
				_, err := s.Offer(b.Context(), signaling.NewTicket(fmt.Sprint("other", i), signaling.Caller), offer)
				ok(b, err)
			}
			b.ReportAllocs()
			for b.Loop() {
				ok(b, s.Close(b.Context(), exchange(b, s, "room")))
			}
		})
	}
}

// BenchmarkRoomMemory is the memory of a room after an exchange.
func BenchmarkRoomMemory(b *testing.B) {
	s := New(Limits{Rooms: b.N})
	before := heap()
	for i := range b.N {
		exchange(b, s, fmt.Sprint("room", i))
	}
	b.ReportMetric(float64(heap()-before)/float64(b.N)/1000, "KB/room")
	b.ReportMetric(float64(len(bigOffer)+len(bigAnswer)+20*len(candidate))/1000, "KB-of-documents/room")
	runtime.KeepAlive(s)
}

// BenchmarkWaiting10000 has 10,000 reads wait, each in its own room, until every room gets an offer.
func BenchmarkWaiting10000(b *testing.B) {
	const readers = 10_000
	for b.Loop() {
		s := New(Limits{Rooms: readers})
		ctx := parkCounter{Context: b.Context(), parked: make(chan struct{}, readers)}
		before := heap()
		var wg sync.WaitGroup
		for i := range readers {
			wg.Go(func() {
				_, _, err := s.Description(ctx, signaling.Ticket{Room: strconv.Itoa(i)}, signaling.Caller, "", signaling.Forever)
				if err != nil {
					b.Error(err)
				}
			})
		}
		for range readers {
			<-ctx.parked
		}
		var stacks runtime.MemStats
		runtime.ReadMemStats(&stacks)
		b.ReportMetric(float64(heap()-before)/readers/1000, "KB/waiting-heap")
		b.ReportMetric(float64(stacks.StackInuse)/readers/1000, "KB/waiting-stack")
		for i := range readers {
			_, err := s.Offer(b.Context(), signaling.NewTicket(strconv.Itoa(i), signaling.Caller), offer)
			ok(b, err)
		}
		wg.Wait()
	}
}

// A parkCounter counts the calls of Done: a read calls it once, before it sleeps.
type parkCounter struct {
	context.Context
	parked chan struct{}
}

func (p parkCounter) Done() <-chan struct{} {
	p.parked <- struct{}{}
	return p.Context.Done()
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
