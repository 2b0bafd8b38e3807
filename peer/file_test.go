package peer_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"p2pchat/chat"
	"p2pchat/peer"
	"p2pchat/signaling/memstore"
)

// noise returns n random bytes.
func noise(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b) // it never fails
	return b
}

// A tallied pipe counts what is written to its further channels.
type tallied struct {
	*peer.Pipe
	written *atomic.Int64
}

func (p tallied) Open(ctx context.Context) (io.ReadWriteCloser, error) {
	c, err := p.Pipe.Open(ctx)
	return talliedChannel{c, p.written}, err
}

func (p tallied) OpenApart(ctx context.Context) (io.ReadWriteCloser, error) {
	c, err := p.Pipe.OpenApart(ctx)
	if err != nil {
		return nil, err
	}
	return talliedChannel{c, p.written}, nil
}

type talliedChannel struct {
	io.ReadWriteCloser
	written *atomic.Int64
}

func (c talliedChannel) Write(b []byte) (int, error) {
	c.written.Add(int64(len(b)))
	return c.ReadWriteCloser.Write(b)
}

// A porter is a conversation over a session that sends or takes files, with the events that
// can be waited for.
type porter struct {
	*chat.Conversation
	written atomic.Int64
	events  chan chat.Event
	err     error
}

// newPorter runs one until the conversation is over; wg is done then.
func newPorter(wg *sync.WaitGroup, session *peer.Session, config chat.Config) *porter {
	config.Log = slog.New(slog.DiscardHandler)
	p := &porter{Conversation: chat.New(config), events: make(chan chat.Event, 10_000)}
	wg.Go(func() {
		p.err = p.Run(context.Background(), func(ctx context.Context) (chat.Link, error) {
			pipe, err := session.Pipe(ctx)
			return chat.Link{Pipe: tallied{pipe, &p.written}}, err
		})
		p.Close()
	})
	wg.Go(func() {
		for e := range p.Events() {
			p.events <- e
		}
		close(p.events)
	})
	return p
}

// A file while the path is cut ten times: it arrives whole, and what was acknowledged is not
// sent again.
func TestAFileThroughCuts(t *testing.T) {
	t.Parallel()
	t.Run("over QUIC", func(t *testing.T) { fileThroughCuts(t, 2*time.Millisecond, quiet(), chat.Config{}, true) })
	t.Run("over a DataChannel", func(t *testing.T) {
		fileThroughCuts(t, 2*time.Millisecond, dataChannelsOnly(), chat.Config{}, false)
	})
	t.Run("over stripes", func(t *testing.T) { fileThroughCuts(t, 5*time.Millisecond, quiet(), chat.Config{}, false) })
	t.Run("without stripes", func(t *testing.T) {
		fileThroughCuts(t, 5*time.Millisecond, quiet(), chat.Config{Stripes: chat.StripesNever}, false)
	})
}

func fileThroughCuts(t *testing.T, delay time.Duration, meeting peer.Config, config chat.Config, quic bool) {
	t.Helper()
	const ahead = 3 << 20
	cuts := peer.Long(10, 3)
	size := (cuts + 2) << 20 * 4 / 3
	content := noise(size)
	path := filepath.Join(t.TempDir(), "data")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		n, store := newNetwork(t, delay), memstore.New(memstore.Limits{})
		from, to := n.calls(t, store, right, meeting), n.answers(t, store, right, meeting)
		q := n.tapQUIC()
		var wg sync.WaitGroup
		a, b := newPorter(&wg, from, config), newPorter(&wg, to, chat.Config{DownloadDir: dir, AcceptFiles: true})
		ids, err := a.SendFiles(context.Background(), path)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(a.Finish(context.Background()), b.Finish(context.Background())); err != nil {
			t.Fatal(err)
		}
		made, last := 0, int64(0)
		wg.Go(func() { // a cut for each bit of the way that was made
			for made < cuts {
				time.Sleep(time.Millisecond)
				if now := a.written.Load(); now-last > int64(size/(cuts+2)) {
					last = now
					made++
					n.cut.Store(true)
					time.Sleep(4 * time.Second)
					n.cut.Store(false)
				}
			}
		})
		wg.Wait()
		if err := errors.Join(a.err, b.err); err != nil {
			t.Error(err)
		}
		if n := q.handshakes.Load(); (n > int64(cuts)) != quic {
			t.Errorf("%d packets are QUIC's", n)
		}
		var losses int
		for e := range a.events {
			if _, ok := e.(chat.Disconnected); ok {
				losses++
			}
		}
		if !a.Sent(ids[0]) || losses < cuts {
			t.Errorf("sent: %v, through %d losses", a.Sent(ids[0]), losses)
		}
		if written := a.written.Load(); written > int64(size*101/100+cuts*ahead) {
			t.Errorf("%d bytes went out for %d", written, size)
		}
	})
	same(t, filepath.Join(dir, "data"), path)
}

// The round trip of a message, said and delivered, while a file flows at full speed.
func BenchmarkMessageDuringFile(b *testing.B) {
	b.Run("over QUIC", func(b *testing.B) { messageDuringFile(b, quiet()) })
	b.Run("over a DataChannel", func(b *testing.B) { messageDuringFile(b, dataChannelsOnly()) })
}

func messageDuringFile(b *testing.B, config peer.Config) {
	b.Helper()
	path := filepath.Join(b.TempDir(), "data")
	if err := os.WriteFile(path, noise(64<<20), 0o600); err != nil {
		b.Fatal(err)
	}
	f := newFreight(b, config)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				f.send(b, path)
			}
		}
	})
	var times []time.Duration
	for b.Loop() {
		begun := time.Now()
		if _, err := f.from.Say(b.Context(), "hi"); err != nil {
			b.Fatal(err)
		}
		<-f.delivered
		times = append(times, time.Since(begun))
		time.Sleep(2 * time.Millisecond)
	}
	close(stop)
	wg.Wait()
	slices.Sort(times)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(p(.5, times).Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(p(.99, times).Microseconds())/1000, "p99-ms")
}

// A freight is two conversations on this machine, of which one takes files.
type freight struct {
	from      *porter
	sent      chan chat.Event
	delivered chan struct{}
}

func newFreight(b *testing.B, config peer.Config) *freight {
	b.Helper()
	store := memstore.New(memstore.Limits{})
	from, to := calling(b, store, room, config), answering(b, store, room, config)
	var wg sync.WaitGroup
	dir := b.TempDir()
	f := &freight{sent: make(chan chat.Event, 1), delivered: make(chan struct{}, 1)}
	f.from = newPorter(&wg, from, chat.Config{})
	taker := newPorter(&wg, to, chat.Config{DownloadDir: dir, AcceptFiles: true})
	wg.Go(func() {
		for e := range f.from.events {
			switch e.(type) {
			case chat.FileSent, chat.FileFailed:
				f.sent <- e
			case chat.Delivered:
				f.delivered <- struct{}{}
			}
		}
	})
	wg.Go(func() {
		for e := range taker.events {
			if e, ok := e.(chat.FileReceived); ok {
				_ = os.Remove(e.Path) // the disk is not without end
			}
		}
	})
	b.Cleanup(func() {
		f.from.Leave()
		wg.Wait()
	})
	return f
}

// send sends a file, and waits until the other side has it.
func (f *freight) send(b *testing.B, path string) {
	b.Helper()
	if _, err := f.from.SendFiles(context.Background(), path); err != nil {
		b.Error(err)
	}
	if e, ok := (<-f.sent).(chat.FileFailed); ok {
		b.Error(e.Reason)
	}
}
