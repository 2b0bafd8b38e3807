package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"github.com/spf13/pflag"

	"p2pchat/signaling"
	"p2pchat/signaling/memstore"
	"p2pchat/signaling/natsstore"
)

const storeInMemory = "memory"

var errStore = errors.New("the store cannot be reached")

// storeOptions are the flags of serve that say where rooms are kept.
type storeOptions struct{ where, credentials, rootCA string }

func (o *storeOptions) register(f *pflag.FlagSet) {
	f.StringVar(&o.where, "store", storeInMemory, "where rooms are kept: memory, or nats://user:password@host,host for several servers (rather as P2PCHAT_STORE: others see flags)")
	f.StringVar(&o.credentials, "store-creds", "", "file with credentials for NATS (.creds), instead of a password")
	f.StringVar(&o.rootCA, "store-ca", "", "file with the certificates (PEM) that NATS is checked against, if not the system's")
}

// A store is where rooms are kept.
type store struct {
	signaling.Store
	ready func() error
	stop  func()
}

func (o *storeOptions) open(ctx context.Context, limits memstore.Limits, log *slog.Logger) (*store, error) {
	if o.where == storeInMemory {
		return &store{memstore.New(limits), func() error { return nil }, func() {}}, nil
	}
	if scheme, _, _ := strings.Cut(o.where, "://"); scheme != "nats" && scheme != "tls" {
		return nil, &usageError{err: errors.New("--store must be memory, or begin with nats:// or tls://")}
	}
	for flag, file := range map[string]string{"--store-creds": o.credentials, "--store-ca": o.rootCA} {
		if _, err := os.Stat(file); file != "" && err != nil {
			return nil, &usageError{err: fmt.Errorf("%s: %w", flag, err)}
		}
	}
	s, err := natsstore.Open(ctx, natsstore.Config{URL: o.where, Credentials: o.credentials, RootCA: o.rootCA, Limits: limits, Log: log})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errStore, err)
	}
	return &store{s, s.Ready, s.Stop}, nil
}
