package main

import (
	"context"

	"github.com/spf13/cobra"

	"p2pchat/chat"
	"p2pchat/peer"
	"p2pchat/signaling"
)

func callCommand(std stdio) *cobra.Command {
	o := talkOptions{side: signaling.Caller, meet: peer.Call}
	c := &cobra.Command{
		Use:        "call [CODE]",
		SuggestFor: []string{"chat", "dial", "start", "invite", "talk"},
		Short:      "Start a call: print a code, wait for the other side, chat",
		Long: `Open a room on the server, print its code, wait for the other side and chat.

Without CODE, call makes a new one, such as 417-falcon-zebra: a room, and a secret that
the server never sees. Tell it to the other side; it works for one call. After three
wrong codes it no longer works; on a terminal, Enter then makes a new one. A code that is
a room alone, like standup, has no secret: such a call is unverified until both of you
compare the safety words.

On a server on this machine, both sides can leave the code out: they meet in the lobby,
without a secret. If no server listens on the default address, call serves until it ends;
with a contact or a code that has a secret it serves your local network, too, and answer
finds it there. With --lan always it does so without any server.

To call a contact, whom you have kept, give @NAME in place of the code: see 'p2pchat contacts --help'.

If the other side's program was started again and does not come back, type /again to
wait for it with the code of the call, too.

` + jsonHelp + `

'p2pchat help' lists the exit codes.`,
		Example: `  p2pchat call --server https://chat.example.org
  p2pchat call standup-our-own-secret --server https://chat.example.org
  p2pchat call @ben
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

func call(ctx context.Context, o talkOptions, std stdio) error {
	o.own = &ownServer{log: o.logger}
	defer o.own.stop()
	switch {
	case o.lan == always:
		server, err := o.own.startOnLAN(ctx)
		if err != nil {
			return err
		}
		o.server, o.home = server, defaultServer
	case !o.serverGiven:
		onLAN := o.lan == auto && o.isRecognised()
		o.own.start(ctx, o.server, onLAN, func(text string) { o.warn("%s", text) })
		var conversation *chat.Conversation
		o.joined = func(c *chat.Conversation) { conversation = c }
		o.onOutage = func(begins bool) {
			if begins {
				o.own.watch(ctx, o.server, onLAN, func(text string) { conversation.Tell(chat.Notice{Text: text}) })
			} else {
				o.own.unwatch()
			}
		}
	}
	return talk(ctx, o, std)
}
