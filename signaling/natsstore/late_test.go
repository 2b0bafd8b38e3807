package natsstore_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"p2pchat/signaling"
	"p2pchat/signaling/natsstore"
)

// A lateLink is a TCP proxy to a NATS server. It delays what the server sends while it is held.
type lateLink struct {
	net.Listener
	held sync.Mutex // held by the test while nothing may pass
	all  sync.WaitGroup
}

func newLateLink(t *testing.T, to int) *lateLink {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ok(t, err)
	link := &lateLink{Listener: l}
	t.Cleanup(func() {
		_ = l.Close() // it accepts no connection any more
		link.all.Wait()
	})
	link.all.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", fmt.Sprint("127.0.0.1:", to))
			if err != nil {
				_ = near.Close() // the client connects again
				continue
			}
			link.all.Go(func() { defer far.Close(); _, _ = io.Copy(far, near) })
			link.all.Go(func() { defer near.Close(); _, _ = io.Copy(link.delayed(near), far) })
		}
	})
	return link
}

func (l *lateLink) delayed(to io.Writer) io.Writer { return delayedWriter{l, to} }

type delayedWriter struct {
	link *lateLink
	to   io.Writer
}

func (w delayedWriter) Write(b []byte) (int, error) {
	w.link.held.Lock()
	defer w.link.held.Unlock()
	return w.to.Write(b)
}

// A write whose reply is late is repeated, and has an effect once: also on a single NATS server, which
// refuses the repetition as a conflict.
func TestLateReplies(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 3} {
		t.Run(fmt.Sprint("nodes=", n), func(t *testing.T) {
			t.Parallel()
			c := nats(t, n)
			link := newLateLink(t, c.options[0].Port)
			s, err := natsstore.Open(t.Context(), natsstore.Config{URL: "nats://ann:s3cret@" + link.Addr().String(), Log: slog.New(slog.DiscardHandler)})
			ok(t, err)
			defer s.Stop()
			caller := signaling.NewTicket("room", signaling.Caller)
			_, err = s.Offer(t.Context(), caller, offer)
			ok(t, err)

			link.held.Lock()
			time.AfterFunc(600*time.Millisecond, link.held.Unlock) // after one repetition, before the next
			if n, err := s.AddCandidates(t.Context(), caller, -1, signaling.Candidate("{}")); n != 1 || err != nil {
				t.Errorf("the list has %d candidates, %v", n, err)
			}
			list, err := s.Candidates(t.Context(), caller, signaling.Caller, 0, 0)
			if len(list) != 1 || err != nil {
				t.Errorf("the candidates are %q, %v", list, err)
			}

			link.held.Lock()
			time.AfterFunc(600*time.Millisecond, link.held.Unlock)
			if err := s.Close(t.Context(), caller); err != nil {
				t.Errorf("closing the room: %v", err)
			}
		})
	}
}

// A server that cannot ask NATS whether its replica is behind does not refuse a peer: the refusal may be wrong.
func TestRefusalsThatCannotBeChecked(t *testing.T) {
	t.Parallel()
	c := nats(t, 1)
	link := newLateLink(t, c.options[0].Port)
	s, err := natsstore.Open(t.Context(), natsstore.Config{URL: "nats://ann:s3cret@" + link.Addr().String(), Log: slog.New(slog.DiscardHandler)})
	ok(t, err)
	defer s.Stop()
	callee := signaling.NewTicket("room", signaling.Callee)
	if _, err := s.Candidates(t.Context(), callee, signaling.Caller, 0, 0); !errors.Is(err, signaling.ErrNoRoom) {
		t.Errorf("before: %v", err)
	}
	link.held.Lock()
	defer link.held.Unlock()
	if _, err := s.Candidates(t.Context(), callee, signaling.Caller, 0, 0); !errors.Is(err, signaling.ErrUnavailable) {
		t.Errorf("while NATS does not reply: %v", err)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if _, err := s.Candidates(ended, callee, signaling.Caller, 0, 0); !errors.Is(err, context.Canceled) {
		t.Errorf("once the read has ended: %v", err)
	}
}
