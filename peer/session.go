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
	statsInterval = 5 * time.Second // between two Stats
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
	over   chan struct{}
	err    error // why, once over is closed
	wg     sync.WaitGroup

	// owned by run:
	first   *Pipe             // the one that both sides have used; nil before
	again   *signaling.Ticket // the caller's, in the room where the two meet again
	guesses int               // what has come or gone without the right secret, see Guesses
}

// meet is call or answer: it meets the other side once, and is over with the context, or
// an error that is final for this code.
type meet func(s *Session, ctx context.Context, code Code) (*Pipe, error)

func start(at signaling.Store, code Code, config Config, meet meet) *Session {
	if config.Log == nil {
		config.Log = slog.Default()
	}
	if config.Report == nil {
		config.Report = func(Event) {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &Session{
		store: at, code: code, config: config, cancel: cancel,
		done: make(chan struct{}), pipe: make(chan *Pipe, 1), wanted: make(chan struct{}, 1), over: make(chan struct{}),
	}
	go s.run(ctx, meet)
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

// Close ends the meeting or the connection and waits until everything has ended. What
// the other machine does not have yet is lost: see Pipe.Flush.
func (s *Session) Close() {
	s.cancel()
	<-s.done
}

func (s *Session) run(ctx context.Context, meet meet) {
	defer close(s.done)
	defer s.wg.Wait()
	s.err = s.keep(ctx, meet)
	close(s.over)
}

// keep meets the other side, follows the connection to its end, and meets again. That goes
// on for ever, because a network may come back at any time.
func (s *Session) keep(ctx context.Context, meet meet) error {
	code := s.code
	var calm brake
	for {
		s.guesses = 0
		p, err := meet(s, ctx, code)
		switch {
		case err != nil && (s.first == nil || ctx.Err() != nil):
			return err
		case err != nil:
			s.config.Log.Info("could not meet again; trying once more", "why", err)
			if err := calm.wait(ctx); err != nil {
				return err
			}
			continue
		}
		if code = p.code; s.first != nil {
			// The two are those who met at first. What made them trust each other holds.
			p.Verified, p.SafetyWords, p.Next = s.first.Verified, s.first.SafetyWords, s.first.Next
		}
		s.hand(p)
		err = s.watch(ctx, p)
		closeConnection(p.pc, s.config.Log)
		switch {
		case ctx.Err() != nil || p.Foreign:
			return err
		case s.first == nil && isClosed(p.heard):
			s.first = p
		}
		// Before it was heard of, the other side may not have had this connection. Later
		// it is always the same code, because either side may think that it alone had one.
		if s.first != nil {
			code = s.first.Next
		}
		select {
		case <-s.wanted:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// hand makes p the pipe that the next Pipe returns.
func (s *Session) hand(p *Pipe) {
	select {
	case <-s.pipe: // nobody took it, and it is lost
	default:
	}
	select {
	case <-s.wanted:
	default:
	}
	s.pipe <- p
}

// retrying tells of an attempt that failed. The first connection is what people wait
// for; later they know that it is lost.
func (s *Session) retrying(why error) {
	if s.first == nil {
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
