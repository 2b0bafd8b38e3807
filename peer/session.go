package peer

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/pion/ice/v4"

	"p2pchat/peer/internal/pionnet"
	"p2pchat/signaling"
)

const (
	attempts      = 3               // to connect, before the two are told that they cannot
	statsInterval = 5 * time.Second // between two Stats
	callLimit     = 5 * time.Second // in one of two rooms where the callee may be
)

// A Session is one side of a meeting, and of the connections that come of it: when one is
// lost, the two meet again, in a room that only they can find.
type Session struct {
	store  signaling.Store
	codes  []Code // to meet with at first; none for a contact
	config Config
	cancel context.CancelFunc
	done   chan struct{} // closed by run, when everything it started has ended

	pipe   chan *Pipe    // from run: the newest
	wanted chan struct{} // to run: Pipe waits for the next
	reopen chan struct{} // to run: see Reopen
	over   chan struct{}
	err    error // why, once over is closed
	wg     sync.WaitGroup

	// owned by run:
	side    signaling.Side
	met     bool                      // there was a connection
	last    *Pipe                     // whose key says where the two meet again; nil before
	tickets map[Code]signaling.Ticket // of the caller, who may find its own last offer in a room
	tries   int                       // to meet
	pause   backoff                   // between tries
	tcp     ice.TCPMux                // nil: none, see allowTCP

	worse          pacer     // of moves away from a path that is worse; owned by run
	moved, renewed [2]budget // of this side's moves and renewals, and of the other's; owned by run

	guesses guesses // at the typed code

	reporting sync.Mutex // held while a Session in a contact's rooms reports
}

func start(at signaling.Store, side signaling.Side, codes []Code, config Config) *Session {
	if config.Log == nil {
		config.Log = slog.Default()
	}
	if config.Report == nil {
		config.Report = func(Event) {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &Session{
		store: at, side: side, codes: codes, config: config, cancel: cancel, tickets: map[Code]signaling.Ticket{},
		done: make(chan struct{}), pipe: make(chan *Pipe, 1), wanted: make(chan struct{}, 1), reopen: make(chan struct{}, 1), over: make(chan struct{}),
	}
	go s.run(ctx)
	return s
}

// Pipe waits for the connection: the first, or the next one after a loss. A Session that has lost its connection
// meets the other side again only while Pipe waits. The error is ErrNoPath, ErrReplaced, ErrTaken,
// ErrWrongCode, ErrBurnt, ErrImpostor, one of the Store's, ErrLost when a plain WebRTC
// program is gone, or the context's. After the first connection it is ErrLost or the
// context's only: all other failures are tried again.
func (s *Session) Pipe(ctx context.Context) (*Pipe, error) {
	select {
	case s.wanted <- struct{}{}:
	default: // run knows
	}
	select {
	case p := <-s.pipe:
		return p, nil
	case <-s.over:
		return nil, s.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// Reopen makes a Session that has lost its connection wait with the typed code, too: for
// another side that has nothing but the code any more. It goes on to count wrong answers. It
// returns ErrBurnt or ErrImpostor if the code has taken all its guesses.
func (s *Session) Reopen() error {
	if s.guesses.burnt() {
		return burnt(s.side)
	}
	select {
	case s.reopen <- struct{}{}:
	default: // run knows
	}
	return nil
}

// Close ends the meeting or the connection and waits until everything has ended. Messages that
// the other machine does not have yet are lost: see Pipe.Flush.
func (s *Session) Close() {
	s.cancel()
	<-s.done
}

func (s *Session) run(ctx context.Context) {
	defer close(s.done)
	defer s.closeTCP()
	defer s.wg.Wait()
	if s.config.contact != nil {
		s.err = s.maintainContact(ctx)
	} else {
		s.err = s.maintain(ctx)
	}
	close(s.over)
}

// maintain meets the other side, follows the connection to its end, and meets again. That goes
// on for ever, because a network may come back at any time.
func (s *Session) maintain(ctx context.Context) error {
	codes := s.codes
	if r := s.config.Resume; r != nil {
		codes = s.resume(*r)
	}
	for {
		p, err := s.connect(ctx, codes)
		if err != nil {
			return err
		}
		s.adopt(p)
		p, err = s.follow(ctx, p)
		p.close()
		if ctx.Err() != nil || p.Foreign {
			return err
		}
		codes = rendezvous(p)
		select {
		case <-s.wanted:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// connect meets the other side with one of the codes. If the two have met before, it tries again until ctx ends.
func (s *Session) connect(ctx context.Context, codes []Code) (*Pipe, error) {
	for {
		meeting, end := s.untilReopened(ctx)
		p, err := s.meet(meeting, codes)
		reopened := end()
		s.tries++
		switch {
		case err == nil:
			return p, nil
		case reopened && ctx.Err() == nil:
			codes = s.withTyped(codes)
			s.tries = len(codes) - 1 // the typed code is next: the other side may be waiting there
			continue
		case ctx.Err() != nil:
			return nil, err
		case s.met, s.config.private && errors.Is(err, context.DeadlineExceeded): // see callLimit
		default:
			return nil, err
		}
		s.config.Log.Info("could not meet again; trying once more", "why", err)
		if err := s.pause.wait(ctx); err != nil {
			return nil, err
		}
	}
}

// adopt makes p the Session's connection, and hands it to Pipe.
func (s *Session) adopt(p *Pipe) {
	s.met = true
	if s.last != nil && s.isPrivate(p.code) {
		// The two are those who met at first. The proof of that meeting holds.
		p.Verified, p.SafetyWords = s.last.Verified, s.last.SafetyWords
		p.typed, p.token, p.contact = s.last.typed, s.last.token, s.last.contact
	}
	s.last = p
	p.spent = s.guesses.used()
	s.deliver(p)
}

// deliver hands p to Pipe.
func (s *Session) deliver(p *Pipe) {
	select {
	case <-s.pipe: // no Pipe took it, and it is lost
	default:
	}
	for _, stale := range []chan struct{}{s.wanted, s.reopen} {
		select {
		case <-stale:
		default:
		}
	}
	s.pipe <- p
}

// meet is call or answer. A callee can listen in several rooms; a caller tries one after
// the other.
func (s *Session) meet(ctx context.Context, codes []Code) (*Pipe, error) {
	typed := codes[0]
	if codes = s.unburnt(codes); len(codes) == 0 {
		return nil, s.resumption(signaling.Ticket{}, typed).Burnt()
	}
	if s.side == signaling.Callee {
		return s.answer(ctx, codes)
	}
	if len(codes) > 1 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, callLimit)
		defer cancel()
	}
	return s.call(ctx, codes[s.tries%len(codes)])
}

// rendezvous returns the codes to meet with when p is lost: one for a room that only these two can find.
// Until p has heard the other side, that may not have had a connection, and not know the room: then also the
// code with which the two met before.
func rendezvous(p *Pipe) []Code {
	if isClosed(p.heard) {
		return []Code{p.Rendezvous}
	}
	return []Code{p.Rendezvous, p.code}
}

// isPrivate reports whether only these two can have code: it follows from the key of an earlier meeting.
func (s *Session) isPrivate(code Code) bool {
	return s.config.private ||
		s.last != nil && code != s.last.typed && (code == s.last.Rendezvous || code == s.last.code)
}

// untilReopened returns ctx, which ends early if Reopen is called. The function end ends it, and reports
// whether that was so.
func (s *Session) untilReopened(ctx context.Context) (_ context.Context, end func() bool) {
	ctx, cancel := context.WithCancel(ctx)
	reopened := make(chan bool, 1)
	s.wg.Go(func() {
		select {
		case <-s.reopen:
			cancel()
			reopened <- true
		case <-ctx.Done():
			reopened <- false
		}
	})
	return ctx, func() bool {
		cancel()
		return <-reopened
	}
}

// withTyped adds the typed code to the codes with which to meet.
func (s *Session) withTyped(codes []Code) []Code {
	if s.last == nil || slices.Contains(codes, s.last.typed) {
		return codes
	}
	return append(slices.Clone(codes), s.last.typed)
}

// allowTCP makes the next attempt try TCP, too, which costs more than it is worth where UDP works.
func (s *Session) allowTCP() {
	if s.tcp == nil && s.config.net == nil && !s.config.RelayOnly {
		s.tcp = pionnet.ListenTCP(s.config.Log)
	}
}

func (s *Session) closeTCP() {
	if s.tcp == nil {
		return
	}
	if err := s.tcp.Close(); err != nil {
		s.config.Log.Debug("closing the TCP listener", "error", err)
	}
}

// retrying reports an attempt that failed. A person waits for the first connection; a later one
// is known to be lost.
func (s *Session) retrying(why error) {
	if !s.met {
		s.config.Report(Retrying{why})
		return
	}
	s.config.Log.Info("meeting again", "why", why)
}

// follow follows a connection to its end, from one Pipe to the next as it moves. It returns the last one.
func (s *Session) follow(ctx context.Context, p *Pipe) (*Pipe, error) {
	for {
		next, err := s.watch(ctx, p)
		if next == nil {
			close(p.last)
			return p, err
		}
		s.adopt(next)
		close(p.replaced)
		old := p
		s.wg.Go(func() { old.retire(ctx) })
		p = next
	}
}

// watch follows a connection to its end, or until the next Pipe takes its place.
func (s *Session) watch(ctx context.Context, p *Pipe) (next *Pipe, err error) {
	ticker := time.NewTicker(statsInterval)
	defer ticker.Stop()
	m := newMover(ctx, s, p)
	defer m.close()
	for next == nil && err == nil {
		next, err = s.handle(ctx, p, m, ticker.C)
	}
	return next, err
}

// handle waits for one thing that happens to a connection. It returns an error if that is the end, and what m has moved it to, if anything.
func (s *Session) handle(ctx context.Context, p *Pipe, m *mover, due <-chan time.Time) (next *Pipe, err error) {
	select {
	case <-ctx.Done():
		m.stop(false)
		return nil, ctx.Err()
	case <-p.ended:
		return m.stop(true), ErrLost
	case c := <-p.asks:
		m.accept(c)
	case <-p.better:
		m.tryNow(whyRelay)
	case <-m.alarm.C:
		m.lookNow()
	case <-p.quiet:
		m.doubtPath()
	case <-m.doubt.tick:
		m.lookCloser()
	case <-p.turned:
		m.leaveRelay()
	case <-p.refused:
		m.renew()
	case <-m.udp:
		m.udpWorks()
	case <-m.look:
		m.lookAround()
	case <-m.due:
		m.tryAgain()
	case next = <-m.done:
		m.end()
	case <-due:
		s.reportStats(p)
		m.leaveIfWorse()
	}
	return next, nil
}

func (s *Session) reportStats(p *Pipe) {
	if rtt, ok := p.roundTrip(); ok {
		s.config.Report(Stats{RTT: rtt})
	}
}
