package peer

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"p2pchat/signaling"
)

const (
	attempts      = 3               // to connect, before the two are told that they cannot
	statsInterval = 5 * time.Second // between two Stats
	callLimit     = 5 * time.Second // in one of two rooms where the callee may be
)

// A Session is one side of a meeting, and of the connections that come of it: when one is
// lost, the two meet again, in a room that nobody else can find.
type Session struct {
	store  signaling.Store
	code   Code
	config Config
	cancel context.CancelFunc
	done   chan struct{} // closed by run, when everything it started has ended

	pipe   chan *Pipe    // from run: the newest
	wanted chan struct{} // to run: somebody waits for the next
	reopen chan struct{} // to run: see Reopen
	over   chan struct{}
	err    error // why, once over is closed
	wg     sync.WaitGroup

	// owned by run:
	side    signaling.Side
	met     bool                      // there was a connection
	last    *Pipe                     // whose key says where the two meet again; nil before
	tickets map[Code]signaling.Ticket // of the caller, who may find its own last offer in a room

	guesses guesses // at the typed code
}

func start(at signaling.Store, side signaling.Side, code Code, config Config) *Session {
	if config.Log == nil {
		config.Log = slog.Default()
	}
	if config.Report == nil {
		config.Report = func(Event) {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &Session{
		store: at, side: side, code: code, config: config, cancel: cancel, tickets: map[Code]signaling.Ticket{},
		done: make(chan struct{}), pipe: make(chan *Pipe, 1), wanted: make(chan struct{}, 1), reopen: make(chan struct{}, 1), over: make(chan struct{}),
	}
	go s.run(ctx)
	return s
}

// Pipe waits for the connection: the first, or the next one after that was lost. Nobody
// meets again unless somebody waits here. The error is ErrNoPath, ErrReplaced, ErrTaken,
// ErrWrongCode, ErrBurnt, ErrImpostor, one of the Store's, ErrLost when a plain WebRTC
// program is gone, or the context's. After the first connection it is ErrLost or the
// context's only: whatever fails is tried again.
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
// another side that has nothing but the code any more. Wrong answers go on to count. The
// error is ErrBurnt or ErrImpostor if the code has taken all its guesses.
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

// untilReopened is ctx until end is called or Reopen was, which end reports.
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

// Close ends the meeting or the connection and waits until everything has ended. What
// the other machine does not have yet is lost: see Pipe.Flush.
func (s *Session) Close() {
	s.cancel()
	<-s.done
}

func (s *Session) run(ctx context.Context) {
	defer close(s.done)
	defer func() { closeTCP(s.config.tcp, s.config.Log) }()
	defer s.wg.Wait()
	s.err = s.keep(ctx)
	close(s.over)
}

// keep meets the other side, follows the connection to its end, and meets again. That goes
// on for ever, because a network may come back at any time.
func (s *Session) keep(ctx context.Context) error {
	codes := []Code{s.code}
	if a := s.config.Again; a != nil {
		codes = s.resume(*a)
	}
	var calm brake
	for try := 0; ; try++ {
		meeting, end := s.untilReopened(ctx)
		p, err := s.meet(meeting, codes, try)
		switch reopened := end(); {
		case err != nil && reopened && ctx.Err() == nil:
			codes = s.withTyped(codes)
			try = len(codes) - 2 // the typed one is next: the other side may be waiting there
			continue
		case err != nil && (!s.met || ctx.Err() != nil):
			return err
		case err != nil:
			s.config.Log.Info("could not meet again; trying once more", "why", err)
			if err := calm.wait(ctx); err != nil {
				return err
			}
			continue
		}
		s.met = true
		if s.private(p.code) {
			// The two are those who met at first. What made them trust each other holds.
			p.Verified, p.SafetyWords = s.last.Verified, s.last.SafetyWords
			p.typed, p.token = s.last.typed, s.last.token
		}
		s.last = p
		p.spent = s.guesses.used()
		s.hand(p)
		err = s.watch(ctx, p)
		p.close()
		if ctx.Err() != nil || p.Foreign {
			return err
		}
		codes = s.again(p)
		select {
		case <-s.wanted:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// meet is call or answer. A callee can listen in several rooms; a caller tries one after
// the other.
func (s *Session) meet(ctx context.Context, codes []Code, try int) (*Pipe, error) {
	typed := codes[0]
	if codes = s.usable(codes); len(codes) == 0 {
		return nil, s.current(signaling.Ticket{}, typed).Burnt()
	}
	if s.side == signaling.Callee {
		return s.answer(ctx, codes)
	}
	if len(codes) > 1 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, callLimit)
		defer cancel()
	}
	return s.call(ctx, codes[try%len(codes)])
}

// again is where to meet when p is lost: in the room that nobody else can find. Until the other
// side was heard, it may not have had a connection, and not know that room: then also where the
// two met before.
func (s *Session) again(p *Pipe) []Code {
	if isClosed(p.heard) {
		return []Code{p.Next}
	}
	return []Code{p.Next, p.code}
}

// private tells whether nobody but these two can have code.
func (s *Session) private(code Code) bool {
	return s.last != nil && code != s.last.typed && (code == s.last.Next || code == s.last.code)
}

// hand makes p the pipe that the next Pipe returns.
func (s *Session) hand(p *Pipe) {
	select {
	case <-s.pipe: // nobody took it, and it is lost
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

// failed makes the next attempt a broader one: over TCP, too, which costs more than it is
// worth where anything else works.
func (s *Session) failed() {
	if s.config.tcp == nil {
		s.config.tcp = listenTCP(s.config)
	}
}

// retrying tells of an attempt that failed. The first connection is what people wait
// for; later they know that it is lost.
func (s *Session) retrying(why error) {
	if !s.met {
		s.config.Report(Retrying{why})
		return
	}
	s.config.Log.Info("meeting again", "why", why)
}

// watch follows a connection to its end.
func (s *Session) watch(ctx context.Context, p *Pipe) error {
	ticker := time.NewTicker(statsInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-p.ended:
			return ErrLost
		case <-ticker.C:
			if pair, ok := p.pc.SCTP().Transport().ICETransport().GetSelectedCandidatePairStats(); ok {
				s.config.Report(Stats{RTT: time.Duration(pair.CurrentRoundTripTime * float64(time.Second))})
			}
		}
	}
}

// A brake slows down what comes again and again in a short time, like the offers of a
// server that means ill, up to a few seconds each. The first time costs nothing.
type brake struct {
	times int
	last  time.Time
}

func (b *brake) wait(ctx context.Context) error {
	const least, most = 10 * time.Millisecond, 3 * time.Second
	if time.Since(b.last) > 2*most {
		b.times = 0
	}
	d := min(least<<min(b.times, 10), most)
	if b.times == 0 {
		d = 0
	}
	err := sleep(ctx, d)
	b.times++
	b.last = time.Now()
	return err
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
