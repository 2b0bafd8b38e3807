package chat_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"

	"p2pchat/chat"
	"p2pchat/peer"
	"p2pchat/signaling"
	"p2pchat/signaling/memstore"
	"p2pchat/signaling/server"
)

// over returns what a conversation over s asks for its pipes.
func over(s *peer.Session) func(context.Context) (chat.Link, error) {
	return func(ctx context.Context) (chat.Link, error) {
		pipe, err := s.Pipe(ctx)
		if err != nil {
			return chat.Link{}, err
		}
		return chat.Link{Pipe: pipe, Details: chat.Details(pipe.Details)}, nil
	}
}

// Two sides meet at a server with a code, and talk. A program has one of them.
func Example() {
	at := httptest.NewServer(server.New(memstore.New(memstore.Limits{}), server.Config{Log: slog.New(slog.DiscardHandler)}))
	defer at.Close()
	store, err := signaling.NewClient(at.URL, signaling.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	code := peer.Code{Room: "417", Secret: "amber-falcon"}

	calling := peer.Call(store, code, peer.Config{})
	defer calling.Close()
	answering := peer.Answer(store, code, peer.Config{})
	defer answering.Close()

	caller := chat.Start(ctx, chat.Config{Name: "ann"}, over(calling))
	callee := chat.Start(ctx, chat.Config{Name: "ben"}, over(answering))
	_, err = caller.Say(ctx, "Can you hear me?") // sent once they are connected
	err = errors.Join(err, caller.Finish(ctx))
	var answered error
	var wg sync.WaitGroup
	wg.Go(func() { // the other side's program
		answered = callee.Finish(ctx) // it only listens
		for event := range callee.Events() {
			switch e := event.(type) {
			case chat.Connected:
				fmt.Println("connected with", e.Peer, "verified:", e.Verified)
			case chat.Message:
				fmt.Println(e.Text)
			}
		}
	})
	delivered := 0
	for event := range caller.Events() {
		if _, ok := event.(chat.Delivered); ok {
			delivered++
		}
	}
	wg.Wait()
	fmt.Println("delivered:", delivered)
	fmt.Println(errors.Join(err, answered, caller.Wait(), callee.Wait()))
	// Output:
	// connected with ann verified: true
	// Can you hear me?
	// delivered: 1
	// <nil>
}

// A program that only receives accepts each offer. A file is in the download folder once FileReceived says so.
func ExampleConversation_SendFiles() {
	at := httptest.NewServer(server.New(memstore.New(memstore.Limits{}), server.Config{Log: slog.New(slog.DiscardHandler)}))
	defer at.Close()
	store, err := signaling.NewClient(at.URL, signaling.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	note := filepath.Join(dir, "note.txt")
	if err := os.WriteFile(note, []byte("The key is under the mat."), 0o600); err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	code := peer.Code{Room: "417", Secret: "amber-falcon"}
	calling := peer.Call(store, code, peer.Config{})
	defer calling.Close()
	answering := peer.Answer(store, code, peer.Config{})
	defer answering.Close()

	caller := chat.Start(ctx, chat.Config{Name: "ann"}, over(calling))
	callee := chat.Start(ctx, chat.Config{Name: "ben", DownloadDir: filepath.Join(dir, "inbox"), AcceptFiles: true}, over(answering))
	_, err = caller.SendFiles(ctx, note)
	err = errors.Join(err, caller.Finish(ctx))
	received := callee.Finish(ctx) // it says nothing
	var wg sync.WaitGroup
	wg.Go(func() { // the other side's program
		for event := range callee.Events() {
			if e, ok := event.(chat.FileReceived); ok {
				content, failed := os.ReadFile(e.Path)
				fmt.Printf("%s: %s\n", e.Name, content)
				received = errors.Join(received, failed)
			}
		}
	})
	sent := ""
	for event := range caller.Events() {
		if e, ok := event.(chat.FileSent); ok {
			sent = e.Name
		}
	}
	wg.Wait()
	fmt.Println(sent, "has arrived")
	fmt.Println(errors.Join(err, received, caller.Wait(), callee.Wait()))
	// Output:
	// note.txt: The key is under the mat.
	// note.txt has arrived
	// <nil>
}
