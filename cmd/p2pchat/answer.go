package main

import (
	"github.com/spf13/cobra"

	"p2pchat/peer"
	"p2pchat/signaling"
)

func answerCommand(std stdio) *cobra.Command {
	o := talkOptions{side: signaling.Callee, meet: peer.Answer}
	c := &cobra.Command{
		Use:        "answer [CODE]",
		SuggestFor: []string{"join", "connect", "accept"},
		Short:      "Answer a call: type its code, chat",
		Long: `Join the caller's room and chat. If answer runs before call, it waits for the caller,
and on the default address it also waits for a server, and looks for the call on your
local network.

Without CODE, answer reads P2PCHAT_CODE or asks for the code on a terminal, where Tab
completes its words; after a wrong code it asks again. Neither way shows the code in
the list of processes. CODE can also be the command, the link (with https:// or without),
or the line "code: …" that call shows. On a server on this machine, both sides can leave
the code out; a caller elsewhere has a code, which can be typed on the screen.

To answer a contact, whom you have kept, give @NAME in place of the code; 'p2pchat listen' waits for all
of them.

If the other side's program was started again and does not come back, type /again to
wait for it with the code of the call, too.

` + jsonHelp + `

'p2pchat help' lists the exit codes.`,
		Example: `  p2pchat answer --server https://chat.example.org
  p2pchat answer 417-falcon-zebra --server https://chat.example.org
  p2pchat answer @ann
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
	c.Flags().StringVar(&o.keyFile, "access-key-file", "", "`FILE` with the server's access key, if it needs one to leave messages for a contact (or P2PCHAT_ACCESS_KEY)")
	return c
}
