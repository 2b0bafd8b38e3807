package peer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/pion/stun/v4"
	"github.com/pion/webrtc/v4"

	"p2pchat/signaling"
)

const (
	attempts      = 3               // to connect, before the two are told that they cannot
	farewellLimit = 2 * time.Second // for giving the room back when a Session ends
	statsInterval = 5 * time.Second // between two Stats

	livingOffer  = 30 * time.Second // for how long a callee waits for a newer offer; longer than an attempt
	lookInterval = 3 * time.Second  // how often it looks for one from then on
)

// A Session is one side of a meeting, and of the connection that comes of it.
type Session struct {
	store  signaling.Store
	room   string
	config Config
	cancel context.CancelFunc
	done   chan struct{} // closed by run, when everything it started has ended

	pipe chan *Pipe // from run, once
	over chan struct{}
	err  error // why, once over is closed
	wg   sync.WaitGroup
}

func start(at signaling.Store, room string, config Config, meet func(*Session, context.Context) (*Pipe, error)) *Session {
	if config.Log == nil {
		config.Log = slog.Default()
	}
	if config.Report == nil {
		config.Report = func(Event) {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &Session{
		store: at, room: room, config: config, cancel: cancel,
		done: make(chan struct{}), pipe: make(chan *Pipe, 1), over: make(chan struct{}),
	}
	go s.run(ctx, meet)
	return s
}

// Pipe waits for the connection: the next one that lives. The error is ErrNoPath,
// ErrReplaced, one of the Store's, ErrLost when there was a connection and is no
// longer, or the context's.
func (s *Session) Pipe(ctx context.Context) (*Pipe, error) {
	select {
	case p := <-s.pipe:
		return p, nil
	case <-s.over:
		return nil, s.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// Close ends the meeting or the connection and waits until everything has ended. What
// the other machine does not have yet is lost: see Pipe.Flush.
func (s *Session) Close() {
	s.cancel()
	<-s.done
}

func (s *Session) run(ctx context.Context, meet func(*Session, context.Context) (*Pipe, error)) {
	defer close(s.done)
	defer s.wg.Wait()
	p, err := meet(s, ctx)
	if err == nil {
		s.pipe <- p
		err = s.watch(ctx, p)
	}
	s.err = err
	close(s.over)
	if p != nil {
		closeConnection(p.pc, s.config.Log)
	}
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

// call meets as the caller. The room is given back in any case.
func (s *Session) call(ctx context.Context) (*Pipe, error) {
	servers, err := s.iceServers(ctx)
	if err != nil {
		return nil, err
	}
	t := signaling.NewTicket(s.room, signaling.Caller)
	opened := false
	defer func() {
		if opened {
			s.wg.Go(func() { s.giveBack(ctx, t) })
		}
	}()
	write := s.store.Offer
	var calm brake
	for failures := 0; ; {
		p, err := s.callOnce(ctx, t, servers, func(ctx context.Context, d signaling.Description) error {
			_, err := write(ctx, t, d)
			opened = opened || err == nil || ctx.Err() != nil // it may be there, all the same
			return err
		})
		switch {
		case errors.Is(err, signaling.ErrClosed), errors.Is(err, signaling.ErrNoRoom):
			s.config.Log.Info("the server has forgotten the room; opening it again", "why", err)
			write = s.store.Offer
		case errors.Is(err, errGarbled): // whoever it was: the right one may still come
			s.config.Report(Retrying{err})
			write = s.store.Reoffer
		case errors.Is(err, signaling.ErrTurnedDown), errors.Is(err, signaling.ErrWrongToken):
			return nil, fmt.Errorf("%w: %w", ErrReplaced, err)
		case errors.Is(err, ErrNoPath) && failures+1 < attempts:
			failures++
			s.config.Report(Retrying{err})
			write = s.store.Reoffer
		default:
			return p, err
		}
		if err := calm.wait(ctx); err != nil {
			return nil, err
		}
	}
}

func (s *Session) callOnce(ctx context.Context, t signaling.Ticket, servers []webrtc.ICEServer, publish func(context.Context, signaling.Description) error) (*Pipe, error) {
	a, err := s.newAttempt(t, servers)
	if err != nil {
		return nil, err
	}
	defer a.end()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := a.offer(ctx, publish); err != nil {
		return nil, err
	}
	p, _, err := a.run(ctx, nil)
	return p, err
}

// giveBack closes the room, also when ctx has ended.
func (s *Session) giveBack(ctx context.Context, t signaling.Ticket) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewellLimit)
	defer cancel()
	switch err := s.store.Close(ctx, t); {
	case err == nil, errors.Is(err, signaling.ErrNoRoom), errors.Is(err, signaling.ErrWrongToken):
	default:
		s.config.Log.Info("the room could not be closed; it ends by itself", "error", err)
	}
}

// An offer as the callee read it.
type offer struct {
	description signaling.Description
	version     signaling.Version
}

// answer meets as the callee: it answers the newest offer, until one of the answers
// leads to a connection. Offers of callers that died may fail without end; the two
// cannot reach each other once a caller has given up who is alive to close the room.
func (s *Session) answer(ctx context.Context) (*Pipe, error) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	offers, closed, lost := make(chan offer), make(chan struct{}, 1), make(chan error, 1)
	wg.Go(func() { lost <- s.follow(ctx, offers, closed) })
	servers, err := s.iceServers(ctx)
	if err != nil {
		return nil, err
	}
	s.config.Report(Waiting{})
	var newest *offer
	failed := ErrNoPath
	for failures := 0; ; {
		for newest == nil {
			select {
			case o := <-offers:
				newest = &o
			case <-closed:
				if failures >= attempts {
					return nil, failed
				}
				failures = 0
			case err := <-lost:
				return nil, err
			}
		}
		select {
		case <-closed: // before this offer was made
		default:
		}
		p, newer, err := s.answerOnce(ctx, *newest, servers, offers)
		newest = newer
		switch {
		case newer != nil: // the caller, if it is the same, has given this attempt up
			failures++
		case errors.Is(err, signaling.ErrAnswered):
			s.config.Report(Taken{})
		case errors.Is(err, signaling.ErrSuperseded), errors.Is(err, signaling.ErrNoOffer):
			s.config.Log.Info("the offer is gone; waiting for the next", "why", err)
		case errors.Is(err, errGarbled):
			s.config.Report(Retrying{err})
		case errors.Is(err, ErrNoPath):
			failures++
			failed = err
			s.config.Report(Retrying{err})
		default:
			return p, err
		}
	}
}

func (s *Session) answerOnce(ctx context.Context, o offer, servers []webrtc.ICEServer, newer <-chan offer) (*Pipe, *offer, error) {
	t := signaling.NewTicket(s.room, signaling.Callee)
	a, err := s.newAttempt(t, servers)
	if err != nil {
		return nil, nil, err
	}
	defer a.end()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	err = a.answer(ctx, o.description, func(ctx context.Context, d signaling.Description) error {
		_, err := s.store.Answer(ctx, t, o.version, d)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	return a.run(ctx, newer)
}

// follow reads every new offer of the room, and hands on the newest; and tells when
// the room is closed.
func (s *Session) follow(ctx context.Context, offers chan<- offer, closed chan<- struct{}) error {
	var known signaling.Version
	var since time.Time // when that one was handed on
	var calm brake
	for {
		// Waiting in a room keeps it alive. One whose caller has died must be able to
		// end, or nobody could call there again: so it is only looked at, after a while.
		wait := signaling.Forever
		if known != "" {
			wait = max(0, livingOffer-time.Since(since))
		}
		d, v, err := s.store.Description(ctx, signaling.Ticket{Room: s.room}, signaling.Caller, known, wait)
		switch {
		case err == nil:
			known, since = v, time.Now()
			select {
			case offers <- offer{d, v}:
				err = calm.wait(ctx)
			case <-ctx.Done():
				err = ctx.Err()
			}
		case errors.Is(err, signaling.ErrUnchanged):
			err = sleep(ctx, lookInterval)
		case errors.Is(err, signaling.ErrClosed), errors.Is(err, signaling.ErrNoOffer): // for whatever reason: there may be another call
			known = ""
			select {
			case closed <- struct{}{}:
			default: // told already
			}
			err = calm.wait(ctx)
		}
		if err != nil {
			return err
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

// iceServers are the STUN and TURN servers to use. Without any, two machines may still
// meet; without an answer from the server they cannot.
func (s *Session) iceServers(ctx context.Context) ([]webrtc.ICEServer, error) {
	list := s.config.ICEServers
	if list == nil && s.config.Discover != nil {
		var err error
		list, err = s.config.Discover(ctx)
		if errors.Is(err, signaling.ErrUnreachable) || ctx.Err() != nil {
			return nil, err
		} else if err != nil {
			s.config.Log.Info("going on without the server's STUN and TURN servers", "why", err)
		}
	}
	var servers []webrtc.ICEServer
	for _, l := range list {
		if err := checkICEServer(l); err != nil { // pion would refuse them all
			s.config.Log.Warn("left out an ICE server", "why", err)
			continue
		}
		servers = append(servers, webrtc.ICEServer{URLs: l.URLs, Username: l.Username, Credential: l.Credential})
	}
	return servers, nil
}

func checkICEServer(l signaling.ICEServer) error {
	for _, raw := range l.URLs {
		u, err := stun.ParseURI(raw)
		if err != nil {
			return fmt.Errorf("%q: %w", raw, err)
		}
		if turn := u.Scheme == stun.SchemeTypeTURN || u.Scheme == stun.SchemeTypeTURNS; turn && (l.Username == "" || l.Credential == "") {
			return fmt.Errorf("%q has no username and credential", raw)
		}
	}
	return nil
}
