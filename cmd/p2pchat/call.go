package main

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"p2pchat/peer"
)

func callCommand(std stdio) *cobra.Command {
	o := talkOptions{meet: peer.Call, other: "answer"}
	c := &cobra.Command{
		Use:   "call [CODE]",
		Short: "Open a room, wait for the other side, chat",
		Long: `Open a room on the server, print the code of it, wait for the other side and chat.

On this machine CODE may be left out: both sides then meet in the lobby. Where no
server listens on the default address, call is the server, too, while it runs.`,
		Example: `  p2pchat call
  p2pchat call standup --server https://chat.example.org
  printf 'done\n' | p2pchat call --leave-on-eof`,
		Args: cobra.ArbitraryArgs, // a code may be written with spaces
		RunE: func(c *cobra.Command, args []string) error {
			if err := o.complete(c, args, std); err != nil {
				return err
			}
			return call(c.Context(), o, std)
		},
	}
	o.register(c.Flags())
	return c
}

func call(ctx context.Context, o talkOptions, std stdio) error {
	if o.serverGiven || reachable(ctx, o.server) {
		return talk(ctx, o, std)
	}
	l, err := net.Listen("tcp", defaultServe)
	if err != nil && reachable(ctx, o.server) { // somebody was quicker
		return talk(ctx, o, std)
	} else if err != nil {
		return fmt.Errorf("the server cannot start: %w", err)
	}
	fmt.Fprintf(std.err, "p2pchat: no server at %s, so this program is one while it runs\n", o.server)
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	wg.Go(func() {
		if err := (serveOptions{grace: time.Second}).run(serving, l, o.logger); err != nil {
			o.logger.Warn("the server in this program", "error", err)
		}
	})
	return talk(ctx, o, std)
}

// reachable tells whether anything listens where server is.
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
