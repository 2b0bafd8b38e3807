package server_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"

	"p2pchat/signaling"
	"p2pchat/signaling/memstore"
	"p2pchat/signaling/server"
)

// A server in a test: any http.Server serves it. A Client is the same Store at a distance.
func Example() {
	at := httptest.NewServer(server.New(memstore.New(memstore.Limits{}), server.Config{Log: slog.New(slog.DiscardHandler)}))
	defer at.Close()
	store, err := signaling.NewClient(at.URL, signaling.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	offer := signaling.Description(`{"type":"offer","sdp":"v=0\r\n"}`)
	caller := signaling.NewTicket("417", signaling.Caller)
	if _, err := store.Offer(ctx, caller, offer); err != nil {
		fmt.Println(err)
		return
	}
	_, err = store.Offer(ctx, signaling.NewTicket("417", signaling.Caller), offer)
	fmt.Println(errors.Is(err, signaling.ErrOccupied))
	// Output: true
}
