package peer_test

import (
	"context"
	"fmt"

	"p2pchat/peer"
	"p2pchat/signaling/memstore"
)

// A caller makes a code, a callee answers with it, and the two have a pipe. Programs on two machines use a
// signaling.Client in place of the Store in memory.
func Example() {
	ctx := context.Background()
	store := memstore.New(memstore.Limits{})
	codes := make(chan peer.Code, 1)
	caller := peer.Call(store, peer.Code{}, peer.Config{Report: func(e peer.Event) {
		if e, ok := e.(peer.Waiting); ok {
			codes <- e.Code // a person reads it out
		}
	}})
	defer caller.Close()
	callee := peer.Answer(store, <-codes, peer.Config{})
	defer callee.Close()

	there, err := callee.Pipe(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	here, err := caller.Pipe(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := there.Send(ctx, []byte("hello")); err != nil {
		fmt.Println(err)
		return
	}
	message, err := here.Recv(ctx)
	fmt.Println(string(message), err, here.Verified)
	// Output: hello <nil> true
}
