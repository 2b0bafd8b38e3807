// Package natsstore keeps rooms in NATS JetStream, so that any number of servers share them.
//
//	write ─▶ stream sig.ROOM ─▶ feed.sig.ROOM ─▶ every server's mirror ─▶ its readers
//	         (one message a room, its whole state)   (memstore, in memory)
//
// A write is decided on the mirror and kept if the room's last message is still the one
// that it was decided on; it is answered when the mirror has it. Reads are the mirror's:
// they cost NATS nothing. The stream itself drops idle rooms.
//
// It is the only package that imports NATS, which has to be 2.11 or later.
package natsstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"p2pchat/signaling"
	"p2pchat/signaling/memstore"
)

const (
	request = 2 * time.Second        // for one answer of NATS
	attempt = 500 * time.Millisecond // of a write: the node that was to answer may be gone
	again   = 100 * time.Millisecond // between two tries
	audit   = 3 * time.Second        // between two looks whether the feed has left something out

	// How long the end of a room is kept for mirrors that have not heard of it. Those that
	// have been cut off for as long as Patience begin again.
	tombstone = time.Minute
	// For what has no time of its own: nothing, by right.
	maxAge = 24 * time.Hour

	feedMessages, feedBytes = 1 << 20, 256 << 20 // of the feed, that wait for the mirror
)

// Config says where rooms are kept, and how.
type Config struct {
	URL         string // nats://user:password@a,b,c or tls://…: the user of the first host is for all hosts
	Credentials string // file of a user's JWT and key (nsc's .creds), if there is one
	RootCA      string // file of the certificates that NATS's is checked against, if not the system's
	Name        string // of the stream, and the first part of its subjects; "sig" if empty
	// Limits of the rooms. Each server applies its own: give all servers the same. Idle counts in whole seconds.
	Limits memstore.Limits
	// Patience is how long NATS may be away before writes fail and reads stop: 12 s if zero,
	// because a cluster takes 4 to 9 s to replace a leader that was killed. Less than a minute.
	Patience time.Duration
	Log      *slog.Logger // slog.Default() if nil
}

// A Store is a signaling.Store in NATS. While NATS cannot be reached it answers
// ErrUnavailable, and resumes by itself when NATS can be reached.
type Store struct {
	*memstore.Store // the mirror

	config Config
	ttl    time.Duration // of a room's message
	conn   *nats.Conn
	js     jetstream.JetStream
	stream jetstream.Stream
	sub    *nats.Subscription // to the feed
	wanted chan struct{}      // to look now whether the feed has left something out
	lost   atomic.Bool        // and the mirror is suspended
	stop   context.CancelFunc
	all    sync.WaitGroup

	feed  sync.Mutex // held while the mirror changes; guards what follows
	epoch string     // names the stream's contents: another one, if they were lost
	met   time.Time  // when it was last known that the mirror misses nothing

	mu       sync.Mutex // guards what follows
	position uint64     // of the stream; the mirror has all that came before
	awaited  map[uint64]chan struct{}
}

var _ signaling.Watcher = (*Store)(nil)

// Open connects, makes the stream if there is none, and comes back when the mirror is
// complete. It tries for as long as a cluster may need to find a leader.
func Open(ctx context.Context, c Config) (*Store, error) {
	if c.Name == "" {
		c.Name = "sig"
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Limits.ListBytes == 0 {
		c.Limits.ListBytes = 128 << 10
	}
	if c.Limits.Idle == 0 {
		c.Limits.Idle = 10 * time.Minute
	}
	if c.Patience == 0 {
		c.Patience = 12 * time.Second
	}
	s := &Store{config: c, wanted: make(chan struct{}, 1), awaited: map[uint64]chan struct{}{}}
	// The mirror renews a room in use each fifth of its time: what is left is Idle.
	s.ttl = (c.Limits.Idle*5/4 + time.Second - 1).Truncate(time.Second)
	c.Limits.Idle = s.ttl
	s.Store = memstore.Mirror(c.Limits, journal{s})

	ctx, cancel := context.WithTimeout(ctx, c.Patience)
	defer cancel()
	if err := s.connect(ctx); err != nil {
		return nil, err
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop = stop
	if err := s.begin(ctx); err != nil {
		s.Stop()
		return nil, err
	}
	s.all.Go(func() { s.keep(running) })
	s.all.Go(func() { s.renew(running) })
	return s, nil
}

// Stop ends the connection. The Store must not be used after it.
func (s *Store) Stop() {
	s.stop()
	s.conn.Close()
	s.all.Wait()
}

// Ready returns nil if the Store can answer.
func (s *Store) Ready() error {
	if s.lost.Load() {
		return signaling.ErrUnavailable
	}
	return nil
}

func (s *Store) connect(ctx context.Context) error {
	log := s.config.Log
	options := []nats.Option{
		nats.Name("p2pchat"),
		nats.Timeout(request),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(again),
		nats.IgnoreAuthErrorAbort(),
		nats.ReconnectBufSize(-1), // what was not sent was not written
		nats.PingInterval(request),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				log.Warn("the connection to NATS broke", "error", err)
			}
			s.want()
		}),
		nats.ReconnectHandler(func(c *nats.Conn) {
			log.Info("connected to NATS again", "url", c.ConnectedUrlRedacted())
			s.want()
		}),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			log.Warn("NATS reports an error", "error", err)
			s.want()
		}),
	}
	// nats.go knows the user of each server only, and none for those it is told of.
	first, _, _ := strings.Cut(s.config.URL, ",")
	if !strings.Contains(first, "://") {
		first = "nats://" + first
	}
	if u, err := url.Parse(first); err == nil && u.User != nil {
		if password, ok := u.User.Password(); ok {
			options = append(options, nats.UserInfo(u.User.Username(), password))
		} else {
			options = append(options, nats.Token(u.User.Username()))
		}
	}
	if s.config.Credentials != "" {
		options = append(options, nats.UserCredentials(s.config.Credentials))
	}
	if s.config.RootCA != "" {
		options = append(options, nats.RootCAs(s.config.RootCA))
	}
	return s.retry(ctx, func(context.Context) (err error) {
		s.conn, err = nats.Connect(s.config.URL, options...)
		if malformed := (*url.Error)(nil); errors.As(err, &malformed) {
			return final{malformed.Err} // without the address, and the password in it
		}
		if errors.Is(err, nats.ErrAuthorization) {
			return final{err}
		}
		return err
	})
}

// begin subscribes to the feed and fills the mirror.
func (s *Store) begin(ctx context.Context) (err error) {
	if s.js, err = jetstream.New(s.conn); err != nil {
		return err
	}
	// Two descriptions, half a list each at most, two lists, and what stands around them.
	if most := int64(3*s.config.Limits.ListBytes + 16<<10); s.conn.MaxPayload() < most {
		return fmt.Errorf("a room may have %d bytes and NATS takes messages of %d: lower the limit of bodies, or raise max_payload there", most, s.conn.MaxPayload())
	}
	if err := s.subscribe(); err != nil {
		return err
	}
	if err := s.retry(ctx, s.ensure); err != nil {
		return err
	}
	return s.retry(ctx, func(ctx context.Context) error {
		s.feed.Lock()
		defer s.feed.Unlock()
		return s.catchUp(ctx)
	})
}

func (s *Store) subscribe() (err error) {
	if s.sub, err = s.conn.Subscribe("feed."+s.config.Name+".*", s.hear); err != nil {
		return err
	}
	return s.sub.SetPendingLimits(feedMessages, feedBytes)
}

// retry repeats what fails until ctx ends or it fails for good.
func (s *Store) retry(ctx context.Context, do func(context.Context) error) error {
	for {
		once, cancel := context.WithTimeout(ctx, request)
		err := do(once)
		cancel()
		if forGood := (final{}); errors.As(err, &forGood) {
			return forGood.error
		}
		if err == nil || pause(ctx) != nil {
			return err
		}
	}
}

// A final error is not worth another try.
type final struct{ error }

// pause waits for a moment, or until ctx ends.
func pause(ctx context.Context) error {
	timer := time.NewTimer(again)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// want asks for a look soon at whether the feed has left messages out.
func (s *Store) want() {
	select {
	case s.wanted <- struct{}{}:
	default:
	}
}
