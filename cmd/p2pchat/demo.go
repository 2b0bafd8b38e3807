package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"p2pchat/chat"
	"p2pchat/chat/screen"
	"p2pchat/peer"
	"p2pchat/signaling"
)

func demoCommand(std stdio) *cobra.Command {
	var log logOptions
	c := &cobra.Command{
		Use:   "demo",
		Short: "Show a whole call in one process: server, caller and callee",
		Long: `Run a server, a caller and a callee in one process, over real HTTP and real WebRTC.
They chat and exchange files. The demo prints each step with its time, and then what
each side received. The exit code is 0 only if everything arrived.`,
		Example: "  p2pchat demo",
		Args:    cobra.NoArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return demo(c.Context(), log, std) },
	}
	log.sentences = true
	log.register(c.Flags())
	return c
}

// demoCode is the code of both sides. Its secret may be public: the demo's server listens on
// loopback, for a few seconds.
var demoCode = peer.Code{Room: "417", Secret: "falcon-zebra"}

// An actor is one side of the demo.
type actor struct {
	name      string
	options   talkOptions
	says      []string
	reads     []string
	delivered int // messages and files that the other side has acknowledged

	file     string // path of the file that it sends
	sent     string // content of that file
	received string // content of the other side's file
}

func demo(ctx context.Context, log logOptions, std stdio) error {
	logger, err := log.logger(std.err)
	if err != nil {
		return err
	}
	out := &checkedWriter{to: std.out}
	d := &timeline{out: out, begun: time.Now()}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("the demo's server cannot start: %w", err)
	}
	address := "http://" + l.Addr().String()
	d.note("server", "listens on "+address)
	common := talkOptions{server: address, code: demoCode, logger: logger, wait: 30 * time.Second}
	caller := &actor{name: "caller", options: common, says: []string{"Hello! Can you hear me?", "None of this went through the server.", "Grüße, 你好, שלום 👋"}}
	callee := &actor{name: "callee", options: common, says: []string{"Loud and clear.", "It only helped us find each other.", "Goodbye!"}}
	caller.options.side, caller.options.meet = signaling.Caller, peer.Call
	callee.options.side, callee.options.meet = signaling.Callee, peer.Answer
	dir, err := os.MkdirTemp("", "p2pchat-demo-")
	if err != nil {
		return fmt.Errorf("the demo cannot create a folder for its files: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }() // in the system's folder for temporary files
	for _, a := range []*actor{caller, callee} {
		if err := a.write(dir); err != nil {
			return err
		}
	}

	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	var server, talking sync.WaitGroup
	server.Go(func() { err = serveWithin(serving, l, false, logger) })
	ends := make([]error, 2)
	for i, a := range []*actor{caller, callee} {
		a.options.name = a.name
		a.options.screen = func(ctx context.Context, c *chat.Conversation, s screen.Streams) error { return d.follow(ctx, a, c, s) }
		talking.Go(func() {
			ends[i] = talk(ctx, a.options, stdio{in: strings.NewReader(""), out: io.Discard, err: std.err})
		})
	}
	talking.Wait()
	d.note("demo", "both sides have left")
	stop()
	server.Wait()
	if err := errors.Join(append(ends, err)...); err != nil {
		return err
	}
	return cmp.Or(d.conclude(caller, callee), out.err)
}

// write creates the file that the actor sends.
func (a *actor) write(dir string) error {
	a.options.accept, a.options.download = true, filepath.Join(dir, a.name+"-downloads")
	a.file = filepath.Join(dir, a.name+".txt")
	a.sent = "This file is from the " + a.name + ".\n" + strings.Repeat("It travelled over its own channel.\n", 1000)
	if err := os.WriteFile(a.file, []byte(a.sent), 0o600); err != nil {
		return fmt.Errorf("the demo cannot write its file: %w", err)
	}
	return nil
}

// read reads the received file. conclude checks it.
func (a *actor) read(path string) {
	b, err := os.ReadFile(path) //nolint:gosec // the demo has made it
	if err != nil {
		a.received = err.Error()
		return
	}
	a.received = string(b)
}

// A timeline prints each step of the demo with its time.
type timeline struct {
	begun time.Time

	mu  sync.Mutex // guards what follows
	out io.Writer
}

func (d *timeline) note(who, what string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	fmt.Fprintf(d.out, "%8.1f ms  %-6s  %s\n", float64(time.Since(d.begun).Microseconds())/1000, who, what)
}

// follow implements screen.Screen for an actor: it sends the actor's messages and file, and prints each event.
func (d *timeline) follow(ctx context.Context, a *actor, c *chat.Conversation, s screen.Streams) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	defer s.In.Close()
	wg.Go(func() {
		for _, text := range a.says {
			if _, err := c.Say(ctx, text); err != nil {
				return
			}
		}
		if _, err := c.SendFiles(ctx, a.file); err != nil {
			return
		}
		_ = c.Finish(ctx) // the end of the conversation has the error
	})
	for e := range c.Events() {
		if text := a.observe(e); text != "" {
			d.note(a.name, text)
		}
	}
	return nil
}

// observe keeps what conclude checks, and returns a sentence about the event, or "".
func (a *actor) observe(e chat.Event) string {
	switch e := e.(type) {
	case screen.Waiting:
		return "has the code " + e.Code
	case screen.Connecting:
		return "has the other side's description, and connects"
	case chat.Connected:
		return fmt.Sprintf("is connected with the %s by a DataChannel (path: %s, verified: %v)", e.Peer, e.Path, e.Verified)
	case chat.Message:
		a.reads = append(a.reads, e.Text)
		return fmt.Sprintf("reads %q", e.Text)
	case chat.Delivered:
		a.delivered++
	case chat.FileOffered:
		return fmt.Sprintf("accepts the offered %s (%s)", e.Name, screen.Bytes(e.Size))
	case chat.FileReceived:
		a.read(e.Path)
		return fmt.Sprintf("received %s, SHA-256 %x", e.Name, e.SHA256)
	case chat.FileSent:
		a.delivered++
		return "is told that " + e.Name + " has arrived"
	case chat.FileFailed:
		return e.Name + ": " + e.Reason
	case chat.Notice:
		return e.Text
	}
	return ""
}

// conclude prints both transcripts and checks them.
func (d *timeline) conclude(a, b *actor) error {
	for _, pair := range [][2]*actor{{a, b}, {b, a}} {
		fmt.Fprintf(d.out, "\nThe %s received:\n", pair[0].name)
		for _, text := range pair[0].reads {
			fmt.Fprintf(d.out, "  %s: %s\n", pair[1].name, screen.Clean(text))
		}
		if pair[0].received != pair[1].sent {
			return fmt.Errorf("the %s did not receive the file of the %s", pair[0].name, pair[1].name)
		}
		first, _, _ := strings.Cut(pair[0].received, "\n")
		fmt.Fprintf(d.out, "  and a file of %s that begins with: %s\n", screen.Bytes(int64(len(pair[0].received))), first)
		if !slices.Equal(pair[0].reads, pair[1].says) || pair[1].delivered != len(pair[1].says)+1 {
			return fmt.Errorf("the %s received %d of %d messages, and acknowledged %d", pair[0].name, len(pair[0].reads), len(pair[1].says), pair[1].delivered)
		}
	}
	fmt.Fprintf(d.out, "\nAll %d messages arrived in order, and both files are complete. Both sides have confirmed it.\n", len(a.says)+len(b.says))
	return nil
}
