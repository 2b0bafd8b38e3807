package natsstore_test

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"testing"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"p2pchat/signaling"
	"p2pchat/signaling/memstore"
	"p2pchat/signaling/natsstore"
	"p2pchat/signaling/storetest"
)

func TestMail(t *testing.T) {
	t.Parallel() // it waits, most of the time
	for _, n := range []int{1, 3} {
		t.Run(fmt.Sprint("nodes=", n), func(t *testing.T) {
			t.Parallel()
			c := nats(t, n)
			var opened atomic.Int64
			storetest.RunMail(t, func(t *testing.T, limits storetest.MailLimits, observe func(signaling.MailWatcher) signaling.MailWatcher) signaling.Mail {
				m, err := c.open(t, fmt.Sprint("m", opened.Add(1)), memstore.Limits{}).OpenMail(t.Context(), memstore.MailLimits(limits))
				ok(t, err)
				return observe(m)
			})
		})
	}
}

// TestMailOfTwoServers has a reader wait at one server while a sender puts at the other, and starts both servers again.
func TestMailOfTwoServers(t *testing.T) {
	t.Parallel()
	c := nats(t, 1)
	open := func() (mail [2]*memstore.Mail, stop func()) {
		var stores [2]*natsstore.Store
		for i := range mail {
			s, err := natsstore.Open(t.Context(), natsstore.Config{URL: c.url(), Log: slog.New(slog.DiscardHandler)})
			ok(t, err)
			mail[i], err = s.OpenMail(t.Context(), memstore.MailLimits{})
			ok(t, err)
			stores[i] = s
		}
		return mail, func() {
			for _, s := range stores {
				s.Stop()
			}
		}
	}
	putter, box := signaling.NewBox(rand.Text(), rand.Text())
	mail, stop := open()
	read := make(chan []signaling.Block, 1)
	parked := make(chan struct{}, 1)
	go func() {
		list, err := storetest.ObserveMail(mail[1], parked).Blocks(t.Context(), box, 0, signaling.Forever)
		if err != nil {
			t.Error(err)
		}
		read <- list
	}()
	<-parked
	for n := uint64(1); n <= 3; n++ {
		_, err := mail[0].AddBlock(t.Context(), putter, numbered(n))
		ok(t, err)
	}
	if list := <-read; len(list) == 0 || list[0].Number != 1 {
		t.Errorf("the read returned %d blocks", len(list))
	}
	stop()

	c.kill(0) // the boxes are on disk
	c.start(0)
	c.eventually("the node accepts clients", func() bool { return c.nodes[0].ReadyForConnections(time.Second) && c.nodes[0].JetStreamEnabled() })
	mail, stop = open()
	defer stop()
	list, err := mail[0].Blocks(t.Context(), box, 0, 0)
	ok(t, err)
	if len(list) != 3 {
		t.Errorf("after the restart the box has %d blocks", len(list))
	}
	ok(t, mail[1].DeleteBlocks(t.Context(), box, 3))
	if list, err = mail[0].Blocks(t.Context(), box, 0, 0); err != nil || len(list) != 0 {
		t.Errorf("after the deletion: %d blocks, %v", len(list), err)
	}
}

// TestMailGoesOnWithoutRooms takes the stream of the rooms away: the mailboxes have a stream of their own, and go on.
func TestMailGoesOnWithoutRooms(t *testing.T) {
	t.Parallel()
	c := nats(t, 1)
	s, err := natsstore.Open(t.Context(), natsstore.Config{URL: c.url(), Patience: time.Second, Log: slog.New(slog.DiscardHandler)})
	ok(t, err)
	t.Cleanup(s.Stop)
	m, err := s.OpenMail(t.Context(), memstore.MailLimits{})
	ok(t, err)
	conn, err := natsgo.Connect(c.url())
	ok(t, err)
	defer conn.Close()
	js, err := jetstream.New(conn)
	ok(t, err)
	ok(t, js.DeleteStream(t.Context(), "sig"))
	_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "squatter", Subjects: []string{"sig.*"}}) // so that no server makes it again
	ok(t, err)
	c.eventually("the rooms are given up", func() bool { return s.Ready() != nil })

	putter, box := signaling.NewBox(rand.Text(), rand.Text())
	_, err = m.AddBlock(t.Context(), putter, numbered(1))
	ok(t, err)
	if list, err := m.Blocks(t.Context(), box, 0, 0); err != nil || len(list) != 1 {
		t.Errorf("%d blocks, %v", len(list), err)
	}
	ok(t, m.DeleteBlocks(t.Context(), box, 1))
}

// TestMailWhileNATSIsAway expects the first request to wait for NATS, later ones to be refused soon, and both to work once NATS is back.
func TestMailWhileNATSIsAway(t *testing.T) {
	t.Parallel()
	const patience = 4 * time.Second
	c := nats(t, 1)
	s, err := natsstore.Open(t.Context(), natsstore.Config{URL: c.url(), Patience: patience, Log: slog.New(slog.DiscardHandler)})
	ok(t, err)
	t.Cleanup(s.Stop)
	m, err := s.OpenMail(t.Context(), memstore.MailLimits{})
	ok(t, err)
	putter, _ := signaling.NewBox(rand.Text(), rand.Text())
	put := func(number uint64) (time.Duration, error) {
		began := time.Now()
		_, err := m.AddBlock(t.Context(), putter, numbered(number))
		return time.Since(began), err
	}
	c.kill(0)
	if took, err := put(1); !errors.Is(err, signaling.ErrUnavailable) || took < patience {
		t.Errorf("the first request: %v after %v", err, took)
	}
	if took, err := put(1); !errors.Is(err, signaling.ErrUnavailable) || took >= patience {
		t.Errorf("the next one: %v after %v", err, took)
	}
	c.start(0)
	c.eventually("mail is taken again", func() bool {
		_, err := put(1)
		return err == nil
	})
	c.kill(0)
	if took, err := put(2); !errors.Is(err, signaling.ErrUnavailable) || took < patience {
		t.Errorf("the first request of the next outage: %v after %v", err, took)
	}
}

// TestMailUsageIsCached asks again and again how much mail there is: NATS hears it once a second.
func TestMailUsageIsCached(t *testing.T) {
	t.Parallel()
	c := nats(t, 1)
	m, err := c.open(t, "usage", memstore.Limits{}).OpenMail(t.Context(), memstore.MailLimits{Bytes: 1 << 20})
	ok(t, err)
	watch, err := natsgo.Connect(c.url())
	ok(t, err)
	defer watch.Close()
	asked, err := watch.SubscribeSync("$JS.API.STREAM.INFO.>")
	ok(t, err)
	ok(t, watch.Flush())
	putter, _ := signaling.NewBox(rand.Text(), rand.Text())
	begun := time.Now()
	for n := range uint64(50) {
		_, err := m.AddBlock(t.Context(), putter, numbered(n+1))
		ok(t, err)
		m.Free(0)
	}
	seconds := int(time.Since(begun)/time.Second) + 1
	ok(t, watch.Flush())
	if n, _, err := asked.Pending(); err != nil || n == 0 || n > seconds {
		t.Errorf("NATS is asked %d times in %d s: %v", n, seconds, err)
	}
	c.eventually("what was left counts", func() bool { return m.Free(0) < 1 && m.Free(1<<20) == 1 })
}

// TestMailWhileALeaderIsKilled puts blocks at one server, and takes and deletes them at another, while
// the node that leads the mailboxes is killed.
func TestMailWhileALeaderIsKilled(t *testing.T) {
	t.Parallel()
	mailChaos(t, 1, 40)
}

// TestMailChaos is the same for 24 kills; each killed node is started again.
func TestMailChaos(t *testing.T) {
	if os.Getenv("P2PCHATTEST_CHAOS") == "" {
		t.Skip("it takes minutes: P2PCHATTEST_CHAOS=1")
	}
	mailChaos(t, 24, 1000)
}

// mailChaos moves blocks through a box until that many leaders were killed, and then as many as are missing.
func mailChaos(t *testing.T, kills, blocks int) {
	p := processes(t, 3)
	var at [2]*memstore.Mail
	for i := range at {
		var s *natsstore.Store
		eventually(t, "the store opens", func() (opened bool) {
			var err error
			s, err = natsstore.Open(t.Context(), natsstore.Config{URL: p.url, Patience: 20 * time.Second, Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
			return err == nil
		})
		defer s.Stop()
		var err error
		at[i], err = s.OpenMail(t.Context(), memstore.MailLimits{Blocks: 16})
		ok(t, err)
	}
	conn, err := natsgo.Connect(p.url, natsgo.MaxReconnects(-1), natsgo.UserInfo("ann", "s3cret"))
	ok(t, err)
	defer conn.Close()
	js, err := jetstream.New(conn)
	ok(t, err)

	putter, box := signaling.NewBox(rand.Text(), rand.Text())
	var taken atomic.Int64
	var last atomic.Uint64 // the number of the last block, once it is known
	over := make(chan struct{})
	put := make(chan error, 1)
	go func() { put <- putAll(t, at[0], putter, blocks, over, &last) }()
	read := make(chan error, 1)
	go func() { read <- takeAll(t, at[1], box, &taken, &last) }()
	for n := range kills {
		due := int64(blocks * (n + 1) / (kills + 1))
		eventually(t, "blocks are taken", func() bool { return taken.Load() >= due })
		leader := ""
		eventually(t, "three nodes have the boxes", func() bool {
			leader = leaderOf(t, js, "sigmail")
			return leader != ""
		})
		p.kill(leader)
		if n < kills-1 {
			p.start(leader)
		}
	}
	close(over)
	ok(t, <-put)
	ok(t, <-read)
	t.Logf("%d blocks, %d leaders killed", taken.Load(), kills)
}

// putAll puts at least n blocks, and goes on until over is closed.
func putAll(t *testing.T, m signaling.Mail, putter signaling.Box, n int, over <-chan struct{}, last *atomic.Uint64) error {
	for number := uint64(1); ; number++ {
		_, err := m.AddBlock(t.Context(), putter, numbered(number))
		for errors.Is(err, signaling.ErrBoxFull) { // until the reader has deleted
			_, err = m.AddBlock(t.Context(), putter, numbered(number))
		}
		if err != nil {
			return fmt.Errorf("putting block %d: %w", number, err)
		}
		select {
		case <-over:
			if int64(number) >= int64(n) {
				last.Store(number)
				return nil
			}
		default:
		}
	}
}

// takeAll takes and deletes blocks up to the last one, and returns an error unless each comes once and in order.
func takeAll(t *testing.T, m signaling.Mail, box signaling.Box, taken *atomic.Int64, last *atomic.Uint64) error {
	for had := uint64(0); last.Load() == 0 || had < last.Load(); {
		list, err := m.Blocks(t.Context(), box, had, time.Second)
		if err != nil {
			return fmt.Errorf("taking after %d: %w", had, err)
		}
		for _, b := range list {
			if had++; b.Number != had || binary.BigEndian.Uint64(b.Bytes) != had {
				return fmt.Errorf("block %d came where %d was due", b.Number, had)
			}
			taken.Add(1)
		}
		if err := m.DeleteBlocks(t.Context(), box, had); err != nil {
			return fmt.Errorf("deleting through %d: %w", had, err)
		}
	}
	return nil
}

func numbered(n uint64) signaling.Block {
	return signaling.Block{Number: n, Bytes: binary.BigEndian.AppendUint64(make([]byte, 0, 512), n)[:512]}
}
