package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spf13/pflag"

	"p2pchat/chat/screen"
	"p2pchat/signaling"
	"p2pchat/signaling/memstore"
	"p2pchat/signaling/natsstore"
	"p2pchat/signaling/server"
)

const storeInMemory = "memory"

var errStore = errors.New("the store cannot be reached")

// storeOptions are the flags of serve for the store of rooms.
type storeOptions struct{ where, credentials, rootCA string }

func (o *storeOptions) register(f *pflag.FlagSet) {
	f.StringVar(&o.where, "store", storeInMemory, "`STORE` of the rooms: memory, or nats://user:password@host,host to share rooms between servers (prefer P2PCHAT_STORE: other users can see flags)")
	f.StringVar(&o.credentials, "store-creds", "", "`FILE` with NATS credentials (.creds), instead of a password")
	f.StringVar(&o.rootCA, "store-ca", "", "`FILE` with the CA certificates (PEM) for NATS (default the system's)")
}

// rooms is a store as a server needs it.
type rooms interface {
	signaling.Watcher
	server.Acceptor
}

// A store keeps the rooms of a server.
type store struct {
	rooms
	ready    func() error
	stop     func()
	measures []server.Measure
	load     func() int                                                         // rooms that are open or in which a callee waits
	mail     func(context.Context, memstore.MailLimits) (*memstore.Mail, error) // opens the mailboxes beside the rooms
}

// slowStore is after how long serve says that it still connects to its store.
const slowStore = 500 * time.Millisecond

// open returns the store that the flags name. It says in notes where it connects to if that takes longer than a moment.
func (o *storeOptions) open(ctx context.Context, limits memstore.Limits, log *slog.Logger, notes io.Writer) (*store, error) {
	if o.where == storeInMemory {
		s := memstore.New(limits)
		mail := func(_ context.Context, limits memstore.MailLimits) (*memstore.Mail, error) {
			return memstore.NewMail(limits), nil
		}
		return &store{s, func() error { return nil }, func() {}, measures(s), load(s), mail}, nil
	}
	if err := checkStore(o.where); err != nil {
		return nil, err
	}
	for flag, file := range map[string]string{"--store-creds": o.credentials, "--store-ca": o.rootCA} {
		if _, err := os.Stat(file); file != "" && err != nil {
			return nil, &usageError{err: fmt.Errorf("%s: %w", flag, err)}
		}
	}
	address, opened := withoutUser(o.where), make(chan struct{})
	var telling sync.WaitGroup
	telling.Go(func() {
		select {
		case <-time.After(slowStore):
			fmt.Fprintf(notes, "p2pchat: connecting to the store at %s, which has not answered yet\n", address)
		case <-opened:
		}
	})
	s, err := natsstore.Open(ctx, natsstore.Config{URL: o.where, Credentials: o.credentials, RootCA: o.rootCA, Limits: limits, Log: log})
	close(opened)
	telling.Wait()
	if err != nil {
		return nil, fmt.Errorf("%w at %s: %w", errStore, address, err)
	}
	return &store{s, s.Ready, s.Stop, measures(s.Store), load(s.Store), s.OpenMail}, nil
}

// withoutUser returns the addresses of --store without users, passwords and tokens.
func withoutUser(where string) string {
	var servers []string
	scheme, first := "", 0 // of the last one that has a scheme
	for s := range strings.SplitSeq(where, ",") {
		begin, rest, whole := strings.Cut(s, "://")
		if whole {
			scheme, first = begin, len(servers)
		} else {
			rest = s
		}
		host := rest[strings.LastIndex(rest, "@")+1:]
		if whole || host != rest { // without a scheme, a comma was in the password, and what came before is the beginning of it
			host, servers = scheme+"://"+host, servers[:first]
		}
		servers = append(servers, host)
	}
	return screen.Clean(strings.Join(servers, ","))
}

// checkStore checks the value of --store.
func checkStore(where string) error {
	if scheme, _, _ := strings.Cut(where, "://"); where != storeInMemory && scheme != "nats" && scheme != "tls" {
		return &usageError{err: errors.New("--store must be memory, or begin with nats:// or tls://")}
	}
	return nil
}

// load returns a function that counts the rooms in use, see store.load.
func load(s *memstore.Store) func() int {
	return func() int {
		c := s.Counts()
		return c.Awaited + c.Offered + c.Answered
	}
}

// measures returns the metrics of the rooms; with NATS, of those that all servers share.
func measures(s *memstore.Store) []server.Measure {
	rooms := func(state string, of func(memstore.Counts) int) server.Measure {
		return server.Measure{
			Name: "p2pchat_rooms", Help: "Rooms by state, over all replicas: a callee waits for an offer, an offer stands, an answer stands.",
			Labels: map[string]string{"state": state},
			Value:  func() float64 { return float64(of(s.Counts())) },
		}
	}
	return []server.Measure{
		rooms("awaited", func(c memstore.Counts) int { return c.Awaited }),
		rooms("offered", func(c memstore.Counts) int { return c.Offered }),
		rooms("answered", func(c memstore.Counts) int { return c.Answered }),
	}
}
