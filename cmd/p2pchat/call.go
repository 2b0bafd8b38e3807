package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"p2pchat/peer"
	"p2pchat/signaling"
)

func callCommand(std stdio) *cobra.Command {
	o := talkOptions{side: signaling.Caller, meet: peer.Call}
	c := &cobra.Command{
		Use:   "call [CODE]",
		Short: "Start a call: print a code, wait for the other side, chat",
		Long: `Open a room on the server, print its code, wait for the other side and chat.

Without CODE, call makes a new one, such as 417-amber-falcon: a room, and a secret that
the server never sees. Tell it to the other side; it works for one call. After three
wrong codes it no longer works; on a terminal, Enter then makes a new one. A code that is
a room alone, like standup, has no secret: such a call is unverified until both of you
compare the safety words.

On a server on this machine, both sides can leave the code out: they meet in the lobby,
without a secret. If no server listens on the default address, call serves until it ends.

If the other side's program was started again and does not come back, type /again to
wait for it with the code of the call, too.

'p2pchat help' lists the exit codes.`,
		Example: `  p2pchat call --server https://chat.example.org
  p2pchat call standup-our-own-secret --server https://chat.example.org
  p2pchat call
  printf 'done\n' | p2pchat call --leave-on-eof`,
		Args: cobra.ArbitraryArgs, // a code may be written with spaces
		RunE: func(c *cobra.Command, args []string) error {
			if err := o.prepare(c, args, std); err != nil {
				return err
			}
			return onScreen(call(c.Context(), o, std))
		},
	}
	c.ValidArgsFunction = completeCode
	o.register(c.Flags())
	c.Flags().StringVar(&o.keyFile, "access-key-file", "", "`FILE` with the server's access key, if it needs one (or P2PCHAT_ACCESS_KEY)")
	return c
}

// lookInterval is how often a caller looks whether its server has ended, while requests fail.
const lookInterval = 300 * time.Millisecond

func call(ctx context.Context, o talkOptions, std stdio) error {
	if o.serverGiven {
		return talk(ctx, o, std)
	}
	own := &ownServer{log: o.logger}
	defer own.stop()
	own.start(ctx, o.server, std.err)
	o.onOutage = func(begins bool) {
		if begins {
			own.watch(ctx, o.server, std.err)
		} else {
			own.unwatch()
		}
	}
	return talk(ctx, o, std)
}

// An ownServer is a server in a caller's program, until that ends. It starts if the default address has no
// server: at first, or when the other caller's program that served has ended.
type ownServer struct {
	log *slog.Logger
	wg  sync.WaitGroup

	mu       sync.Mutex         // guards what follows
	halt     context.CancelFunc // nil until the server starts
	watching context.CancelFunc // nil without a watch
}

// watch starts the server as soon as no other is reachable. A server that is stopping refuses requests
// while it still accepts connections, so one look at the first failure is not enough.
func (s *ownServer) watch(ctx context.Context, address string, notes io.Writer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.watching != nil {
		return
	}
	ctx, s.watching = context.WithCancel(ctx)
	s.wg.Go(func() {
		tick := time.NewTicker(lookInterval)
		defer tick.Stop()
		for {
			s.start(ctx, address, notes)
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	})
}

// unwatch ends the watch, if there is one.
func (s *ownServer) unwatch() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.watching != nil {
		s.watching()
		s.watching = nil
	}
}

// start starts the server, unless it runs or another one is reachable.
func (s *ownServer) start(ctx context.Context, address string, notes io.Writer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.halt != nil || ctx.Err() != nil || reachable(ctx, address) {
		return
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", defaultServe)
	if err != nil { // another program was faster, or the call reports that there is no server
		s.log.Info("no server could be started", "error", err)
		return
	}
	fmt.Fprintf(notes, "p2pchat: No server at %s: this program serves until you leave.\n", address)
	serving, halt := context.WithCancel(context.WithoutCancel(ctx))
	s.halt = halt
	s.wg.Go(func() {
		if err := serveWithin(serving, l, s.log); err != nil {
			s.log.Warn("the server in this program", "error", err)
		}
	})
}

// stop ends the watch and the server, and waits for their end.
func (s *ownServer) stop() {
	s.unwatch()
	s.mu.Lock()
	if s.halt != nil {
		s.halt()
	}
	s.mu.Unlock()
	s.wg.Wait()
}

// reachable reports whether a program listens where server is.
func reachable(ctx context.Context, server string) bool {
	u, err := url.Parse(server)
	if err != nil {
		return false
	}
	conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", u.Host)
	if err != nil {
		return false
	}
	conn.Close()
	return true
}
