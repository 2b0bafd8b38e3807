package main

import (
	"github.com/spf13/cobra"

	"p2pchat/peer"
	"p2pchat/signaling"
)

func answerCommand(std stdio) *cobra.Command {
	o := talkOptions{meet: peer.Answer, other: "call"}
	c := &cobra.Command{
		Use:   "answer [CODE]",
		Short: "Join the caller's room, chat",
		Long: `Join a caller and chat. Started first, it waits for the caller, and on the default
address for a server, too.

Without CODE it asks for it on a terminal, where Tab completes its words, and
otherwise takes it from P2PCHAT_CODE. Asked for or in the variable, it is in no list
of processes. On a server on this machine it may be left out on both sides.`,
		Example: `  p2pchat answer --server https://chat.example.org
  p2pchat answer 417-amber-falcon --server https://chat.example.org
  p2pchat answer`,
		Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			if err := o.prepare(c, args, std); err != nil {
				return err
			}
			if !o.serverGiven {
				o.patience = signaling.Forever
			}
			return onScreen(talk(c.Context(), o, std))
		},
	}
	c.ValidArgsFunction = completeCode
	o.register(c.Flags())
	return c
}
