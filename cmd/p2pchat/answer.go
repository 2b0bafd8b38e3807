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
		Long: `Join the room of a caller and chat. Started first, it waits for the caller, and on
the default address for a server, too.`,
		Example: `  p2pchat answer
  p2pchat answer standup --server https://chat.example.org`,
		Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			if err := o.complete(c, args, std); err != nil {
				return err
			}
			if !o.serverGiven {
				o.patience = signaling.Forever
			}
			return talk(c.Context(), o, std)
		},
	}
	o.register(c.Flags())
	return c
}
