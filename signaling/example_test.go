package signaling_test

import (
	"context"
	"fmt"
	"log"

	"p2pchat/signaling"
	"p2pchat/signaling/memstore"
)

// Two sides meet in a room: each has a ticket, and waits for what the other side writes. A
// [signaling.Client] in place of the memstore lets them be on two machines.
func ExampleStore() {
	ctx := context.Background()
	var rooms signaling.Store = memstore.New(memstore.Limits{})

	go func() { // the callee
		callee := signaling.NewTicket("417", signaling.Callee)
		_, version, err := rooms.Description(ctx, callee, signaling.Caller, "", signaling.Forever)
		if err != nil {
			log.Fatal(err)
		}
		answer := signaling.Description(`{"type":"answer","sdp":"…"}`)
		if _, err := rooms.Answer(ctx, callee, version, answer); err != nil {
			log.Fatal(err)
		}
	}()

	caller := signaling.NewTicket("417", signaling.Caller)
	if _, err := rooms.Offer(ctx, caller, signaling.Description(`{"type":"offer","sdp":"…"}`)); err != nil {
		log.Fatal(err)
	}
	answer, _, err := rooms.Description(ctx, caller, signaling.Callee, "", signaling.Forever)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", answer)
	if err := rooms.Close(ctx, caller); err != nil {
		log.Fatal(err)
	}
	// Output: {"type":"answer","sdp":"…"}
}
