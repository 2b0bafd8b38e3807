// Package natsstore keeps rooms in NATS JetStream, so that any number of servers share them.
//
//	write ─▶ stream sig.ROOM ─▶ feed.sig.ROOM ─▶ every server's replica ─▶ its readers
//	         (one message a room, its whole state)   (memstore, in memory)
//
// A server computes a write from its replica. The stream accepts the write if the room's last
// message is still the one that the replica had, and the server replies once its replica has
// applied the write. Reads come from the replica, and cost NATS nothing. The stream itself drops
// idle rooms.
//
// Mailboxes are in a stream of their own: see mail.go.
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
	requestTimeout = 2 * time.Second        // of a request to NATS
	publishTimeout = 500 * time.Millisecond // of one attempt to write: the node that should reply may be gone
	retryInterval  = 100 * time.Millisecond
	auditInterval  = 3 * time.Second

	// tombstoneLife is how long the stream keeps the message that closes a room, for replicas that
	// have missed it in the feed. A replica that was cut off for Config.Patience starts from the
	// beginning of the stream.
	tombstoneLife = time.Minute
	// maxAge bounds the life of messages without a TTL of their own, which no server writes.
	maxAge = 24 * time.Hour

	// Bounds of what the feed queues for the replica.
	maxFeedMessages = 1 << 20
	maxFeedBytes    = 256 << 20
)

// Config says where rooms are kept, and how.
type Config struct {
	URL         string // nats://user:password@a,b,c or tls://…: the user of the first host is for all hosts
	Credentials string // file of a user's JWT and key (nsc's .creds); none if empty
	RootCA      string // file of the CA certificates that NATS's certificate is checked against; the system's if empty
	Name        string // of the stream, and the first part of its subjects; "sig" if empty
	// Limits of the rooms. Each server applies its own limits, so give all servers the same. Idle is
	// rounded up to whole seconds.
	Limits memstore.Limits
	// Patience is how long NATS may be away before writes fail and reads stop: 12 s if zero,
	// because a cluster takes 4 to 9 s to replace a leader that was killed. Less than a minute.
	Patience time.Duration
	Log      *slog.Logger // slog.Default() if nil
}

// A Store is a [signaling.Store] in NATS. Its methods return ErrUnavailable while NATS cannot be
// reached. It reconnects by itself.
type Store struct {
	*memstore.Store // the replica

	config         Config
	roomLife       time.Duration // of a room's message in the stream
	conn           *nats.Conn
	js             jetstream.JetStream
	stream         jetstream.Stream
	sub            *nats.Subscription // to the feed
	auditRequested chan struct{}
	suspended      atomic.Bool                   // NATS cannot be reached
	mail           atomic.Pointer[memstore.Mail] // nil before OpenMail
	stop           context.CancelFunc
	running        sync.WaitGroup

	feed       sync.Mutex // held while the replica changes; guards what follows
	epoch      string     // names the stream's contents: it changes if they are lost
	completeAt time.Time  // when the replica was last known to have everything

	mu      sync.Mutex               // guards what follows
	applied uint64                   // sequence of the last message that the replica has applied
	awaited map[uint64]chan struct{} // by sequence: closed once the replica has applied it
	writing map[string]bool          // ids of this server's writes under way: whether the replica has applied them
}

var _ signaling.Watcher = (*Store)(nil)

// errMalformed is told in place of net/url's error, which may quote the password.
var errMalformed = errors.New("the address makes no sense; in a password, write / as %2F, a comma as %2C, and other marks likewise")

// Open connects to NATS, makes the stream if it does not exist, and returns once the replica is
// complete. It retries for Config.Patience, because a cluster may have to find a leader, and
// returns the last error.
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
	s := &Store{config: c, auditRequested: make(chan struct{}, 1), awaited: map[uint64]chan struct{}{}, writing: map[string]bool{}}
	// The replica renews a room in use each fifth of its life, so after its last use a room lives
	// for at least four fifths, which are Idle.
	s.roomLife = (c.Limits.Idle*5/4 + time.Second - 1).Truncate(time.Second)
	c.Limits.Idle = s.roomLife
	s.Store = memstore.NewReplica(c.Limits, primary{s})

	ctx, cancel := context.WithTimeout(ctx, c.Patience)
	defer cancel()
	if err := s.connect(ctx); err != nil {
		return nil, err
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop = stop
	if err := s.startReplica(ctx); err != nil {
		s.Stop()
		return nil, err
	}
	s.running.Go(func() { s.runAudits(running) })
	s.running.Go(func() { s.runRenewals(running) })
	return s, nil
}

// Stop closes the connection. The Store must not be used afterwards.
func (s *Store) Stop() {
	s.stop()
	s.conn.Close()
	s.running.Wait()
}

// Ready returns ErrUnavailable while NATS cannot be reached. It does so as soon as the connection breaks, while requests still wait for
// Config.Patience: another server may reach NATS.
func (s *Store) Ready() error {
	if s.suspended.Load() || !s.conn.IsConnected() {
		return signaling.ErrUnavailable
	}
	return nil
}

func (s *Store) connect(ctx context.Context) error {
	log := s.config.Log
	options := []nats.Option{
		nats.Name("p2pchat"),
		nats.Timeout(requestTimeout),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(retryInterval),
		nats.IgnoreAuthErrorAbort(),
		nats.ReconnectBufSize(-1), // a write that was not sent fails, and is retried here
		nats.PingInterval(requestTimeout),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				log.Warn("the connection to NATS broke", "error", err)
			}
			s.requestAudit()
		}),
		nats.ReconnectHandler(func(c *nats.Conn) {
			log.Info("connected to NATS again", "url", c.ConnectedUrlRedacted())
			s.requestAudit()
			if m := s.mail.Load(); m != nil {
				m.Changed("") // the feed may have told of any box in between
			}
		}),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			log.Warn("NATS reports an error", "error", err)
			s.requestAudit()
		}),
	}
	// nats.go applies a URL's user to that server only, and none to servers that it discovers.
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
			return permanentError{errMalformed}
		}
		if errors.Is(err, nats.ErrAuthorization) {
			return permanentError{err}
		}
		return err
	})
}

// startReplica subscribes to the feed and fills the replica.
func (s *Store) startReplica(ctx context.Context) (err error) {
	if s.js, err = jetstream.New(s.conn); err != nil {
		return err
	}
	// Two lists, two descriptions of half a list's size at most, and 16 KiB for the rest.
	if roomBytes := int64(3*s.config.Limits.ListBytes + 16<<10); s.conn.MaxPayload() < roomBytes {
		return fmt.Errorf("a room may have %d bytes and NATS takes messages of %d: lower the limit of bodies, or raise max_payload there", roomBytes, s.conn.MaxPayload())
	}
	if err := s.subscribe(); err != nil {
		return err
	}
	if err := s.retry(ctx, s.ensureStream); err != nil {
		return err
	}
	return s.retry(ctx, func(ctx context.Context) error {
		s.feed.Lock()
		defer s.feed.Unlock()
		return s.catchUp(ctx)
	})
}

func (s *Store) subscribe() (err error) {
	if s.sub, err = s.conn.Subscribe("feed."+s.config.Name+".*", s.receive); err != nil {
		return err
	}
	return s.sub.SetPendingLimits(maxFeedMessages, maxFeedBytes)
}

// retry calls do until it succeeds, returns a permanentError, or ctx ends. It returns the last
// error.
func (s *Store) retry(ctx context.Context, do func(context.Context) error) error {
	for {
		once, cancel := context.WithTimeout(ctx, requestTimeout)
		err := do(once)
		cancel()
		if permanent := (permanentError{}); errors.As(err, &permanent) {
			return permanent.error
		}
		if err == nil || pause(ctx) != nil {
			return err
		}
	}
}

// A permanentError ends retry.
type permanentError struct{ error }

// pause waits for retryInterval. It returns the context's error if ctx ends before.
func pause(ctx context.Context) error {
	timer := time.NewTimer(retryInterval)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
