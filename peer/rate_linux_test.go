package peer_test

import (
	"context"
	"encoding/binary"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"p2pchat/chat"
	"p2pchat/peer"
	"p2pchat/signaling/memstore"
)

// A spent is what one run of a benchmark took: time, and the processor's time of all threads.
type spent struct{ wall, cpu time.Duration }

func spending(b *testing.B, f func()) spent {
	b.Helper()
	before, begun := cpuTime(b), time.Now()
	f()
	return spent{time.Since(begun), cpuTime(b) - before}
}

func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// talkOver holds a conversation over a session until the test ends. The reader gets each event.
func talkOver(b *testing.B, wg *sync.WaitGroup, session *peer.Session, reader func(chat.Event)) *chat.Conversation {
	b.Helper()
	c := chat.New(chat.Config{Log: slog.New(slog.DiscardHandler)})
	wg.Go(func() {
		err := c.Run(context.Background(), func(ctx context.Context) (chat.Link, error) {
			pipe, err := session.Pipe(ctx)
			return chat.Link{Pipe: pipe}, err
		})
		if err != nil {
			b.Error(err)
		}
		c.Close()
	})
	wg.Go(func() {
		for e := range c.Events() {
			reader(e)
		}
	})
	return c
}

// conversing returns one side of a conversation, whose own reader and the other side's get the events.
func conversing(b *testing.B, own, others func(chat.Event)) *chat.Conversation {
	b.Helper()
	store := memstore.New(memstore.Limits{})
	from, to := calling(b, store, room, quiet()), answering(b, store, room, quiet())
	var wg sync.WaitGroup
	c := talkOver(b, &wg, from, own)
	talkOver(b, &wg, to, others)
	b.Cleanup(func() {
		c.Leave()
		wg.Wait()
	})
	return c
}

// How many messages of 64 bytes a second get to the reader and are acknowledged, beside a bare DataChannel whose
// reader acknowledges every 64th. Both may have as many on their way as an outbox holds.
func BenchmarkMessageRate(b *testing.B) {
	const messages, ahead, every = 64 * 800, 4096, 64
	delivered, all := 0, make(chan struct{})
	c := conversing(b, func(e chat.Event) {
		if _, ok := e.(chat.Delivered); !ok {
			return
		}
		if delivered++; delivered%messages == 0 {
			all <- struct{}{}
		}
	}, func(chat.Event) {})
	near, far, hangUp, err := peer.BareQueued(b.Context(), quiet())
	if err != nil {
		b.Fatal(err)
	}
	var wg sync.WaitGroup
	defer func() {
		hangUp()
		wg.Wait()
	}()
	wg.Go(func() { acknowledge(far, every) })
	text := strings.Repeat("x", 64)
	message, buffer := []byte(text), make([]byte, 1024)
	var ours, theirs []spent
	for b.Loop() {
		ours = append(ours, spending(b, func() {
			for range messages {
				if _, err := c.Say(context.Background(), text); err != nil {
					b.Fatal(err)
				}
			}
			<-all
		}))
		theirs = append(theirs, spending(b, func() {
			for sent, acked := 0, 0; acked < messages; acked += every {
				for ; sent < messages && sent-acked < ahead; sent++ {
					if _, err := near.Write(message); err != nil {
						b.Fatal(err)
					}
				}
				if _, err := near.Read(buffer); err != nil {
					b.Fatal(err)
				}
			}
		}))
	}
	wall, cpu := medians(ours)
	bareWall, bareCPU := medians(theirs)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(messages/wall.Seconds(), "msgs/s")
	b.ReportMetric(messages/bareWall.Seconds(), "bare-msgs/s")
	b.ReportMetric(ratio(bareWall, wall), "x-bare-rate")
	b.ReportMetric(float64(cpu.Nanoseconds())/messages/1000, "cpu-µs/msg")
	b.ReportMetric(float64(bareCPU.Nanoseconds())/messages/1000, "bare-cpu-µs/msg")
	b.ReportMetric(ratio(bareCPU, cpu), "x-bare-cpu")
}

func medians(all []spent) (wall, cpu time.Duration) {
	var walls, cpus []time.Duration
	for _, s := range all {
		walls, cpus = append(walls, s.wall), append(cpus, s.cpu)
	}
	return p(.5, walls), p(.5, cpus)
}

// acknowledge reads until the channel ends, and answers every few messages with their count.
func acknowledge(c io.ReadWriter, every uint64) {
	buffer := make([]byte, 1024)
	for n := uint64(1); ; n++ {
		if _, err := c.Read(buffer); err != nil {
			return
		}
		if n%every == 0 {
			if _, err := c.Write(binary.BigEndian.AppendUint64(nil, n)); err != nil {
				return
			}
		}
	}
}

// How long a message of 64 bytes takes from Say to the other side's reader, beside the same over a bare DataChannel.
func BenchmarkMessageLatency(b *testing.B) {
	const pause = time.Millisecond // an acknowledgement is none of the next message's business
	read := make(chan struct{})
	c := conversing(b, func(chat.Event) {}, func(e chat.Event) {
		if _, ok := e.(chat.Message); ok {
			read <- struct{}{}
		}
	})
	near, far, hangUp := bare(b)
	var wg sync.WaitGroup
	defer func() {
		hangUp()
		wg.Wait()
	}()
	wg.Go(func() {
		for buffer := make([]byte, 1024); ; {
			if _, err := far.Read(buffer); err != nil {
				return
			}
			read <- struct{}{}
		}
	})
	text := strings.Repeat("x", 64)
	var ours, theirs []time.Duration
	for b.Loop() {
		begun := time.Now()
		if _, err := c.Say(context.Background(), text); err != nil {
			b.Fatal(err)
		}
		<-read
		ours = append(ours, time.Since(begun))
		time.Sleep(pause)

		begun = time.Now()
		if _, err := near.Write([]byte(text)); err != nil {
			b.Fatal(err)
		}
		<-read
		theirs = append(theirs, time.Since(begun))
		time.Sleep(pause)
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(p(.5, ours).Nanoseconds())/1000, "p50-µs")
	b.ReportMetric(float64(p(.5, theirs).Nanoseconds())/1000, "bare-p50-µs")
	b.ReportMetric(ratio(p(.5, ours), p(.5, theirs)), "x-bare-p50")
	b.ReportMetric(ratio(p(.99, ours), p(.99, theirs)), "x-bare-p99")
}

// How often the threads of this process wake up in a second while two sides are connected and say nothing, beside two
// bare PeerConnections.
func BenchmarkIdleWakeUps(b *testing.B) {
	const watched = 5 * time.Second
	var ours, theirs float64
	for b.Loop() {
		store := memstore.New(memstore.Limits{})
		caller, callee := peer.Call(store, code(room), quiet()), peer.Answer(store, code(room), quiet())
		talk(b, pipeOf(b, caller), pipeOf(b, callee))
		time.Sleep(time.Second) // until the threads of the handshake rest
		ours += wakeUps(b, watched)
		caller.Close()
		callee.Close()

		_, _, hangUp := bare(b)
		time.Sleep(time.Second)
		theirs += wakeUps(b, watched)
		hangUp()
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(ours/float64(b.N), "wake-ups/s")
	b.ReportMetric(theirs/float64(b.N), "bare-wake-ups/s")
}

// wakeUps returns how often a second the threads of this process have waited in that time (proc(5)).
func wakeUps(b *testing.B, watched time.Duration) float64 {
	b.Helper()
	count := func() (n int) {
		threads, err := filepath.Glob("/proc/self/task/*/status")
		if err != nil {
			b.Fatal(err)
		}
		for _, path := range threads {
			status, _ := os.ReadFile(path) //nolint:gosec // a thread may have ended
			_, after, _ := strings.Cut(string(status), "\nvoluntary_ctxt_switches:")
			line, _, _ := strings.Cut(after, "\n")
			switches, _ := strconv.Atoi(strings.TrimSpace(line))
			n += switches
		}
		return n
	}
	before := count()
	time.Sleep(watched)
	return float64(count()-before) / watched.Seconds()
}
