package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"p2pchat/chat/screen"
	"p2pchat/cmd/p2pchat/internal/bench"
	"p2pchat/peer"
	"p2pchat/signaling"
)

// A pathBench measures the path to another person, who runs the same. It meets like call and answer.
type pathBench struct {
	talkOptions
	calls     bool
	duration  time.Duration
	megabytes int64
}

func (o *pathBench) register(f *pflag.FlagSet, name string) {
	f.BoolVar(&o.calls, "call", false, "print a code, and measure the path to the person who runs the same with that code")
	f.DurationVar(&o.duration, "duration", 10*time.Second, "how long to measure the path, in each direction; the shorter one of both sides counts")
	if name == "transfer" {
		f.Int64Var(&o.megabytes, "max-mb", 1000, "how many MB may be sent in each direction; the lower one of both sides counts")
	}
	f.StringVar(&o.server, "server", defaultServer, "`URL` of the signaling server; without a scheme it means https://")
	f.DurationVar(&o.wait, "wait", 0, "how long to wait for the other side (default 0: for ever)")
	f.StringArrayVar(&o.iceServers, "ice-server", nil, "`URL` of a STUN or TURN server to use instead of the server's own, as in call (repeatable)")
	f.BoolVar(&o.relayOnly, "relay-only", false, "never reveal this machine's addresses to the other side")
	o.mapping.register(f)
	o.proxy.register(f)
	f.StringVar(&o.keyFile, "access-key-file", "", "`FILE` with the server's access key, if --call needs one (or P2PCHAT_ACCESS_KEY)")
	o.log.sentences = true
	o.log.register(f)
}

// run meets the other side, and measures.
func (o *pathBench) run(c *cobra.Command, name string, args []string, std stdio) (r bench.PathResult, err error) {
	if err := o.prepareMeeting(c, args, std); err != nil {
		return r, err
	}
	ctx, now := c.Context(), &outage{}
	if o.calls && !o.serverGiven {
		own := &ownServer{log: o.logger}
		defer own.stop()
		own.start(ctx, o.server, false, func(text string) { writeNotices(std.err, text) })
	}
	at := signaling.Config{Key: o.key, OnOutage: func(err error) { now.set(func(t *outage) { t.server = err }) }}
	config := peer.Config{RelayOnly: o.relayOnly, MapPorts: o.mapping.useful(o.server), Log: o.logger, Report: func(e peer.Event) { o.note(e, name, now, std.err) }}
	if err := o.proxy.connect(o.serverGiven, o.server, &at, &config); err != nil {
		return r, err
	}
	client, err := signaling.NewClient(o.server, at)
	if err != nil {
		return r, &usageError{err: err}
	}
	defer client.CloseIdle()
	config.Discover = client.ICEServers
	if config.ICEServers, config.Host, err = chosenICEServers(o.iceServers, o.server); err != nil {
		return r, err
	}
	session := o.meet(client, o.code, config)
	defer session.Close()
	link, err := o.await(ctx, session, now)
	if err == nil {
		fmt.Fprintf(std.err, "p2pchat: Connected %s in %d ms. Measuring for at most %v.\n", screen.PathText(link.Path), link.Took.Milliseconds(), o.duration)
		r, err = bench.Path{Kind: name, Caller: o.calls, Duration: o.duration, MaxBytes: o.megabytes * 1e6, Progress: func(line string) {
			fmt.Fprintf(std.err, "p2pchat: %s\n", line)
		}}.Run(ctx, link)
	}
	if ctx.Err() != nil {
		err = errInterrupted
	}
	return r, err
}

// prepareMeeting checks the flags and the arguments, and derives the side and the code from them.
func (o *pathBench) prepareMeeting(c *cobra.Command, args []string, std stdio) (err error) {
	o.side, o.meet = signaling.Callee, peer.Answer
	if o.calls {
		o.side, o.meet = signaling.Caller, peer.Call
	}
	o.serverGiven, o.serverSaved = c.Flags().Changed("server"), isFromFile(c, "server")
	switch {
	case c.Flags().Changed("count"):
		return &usageError{err: errors.New("--count is for peers on this machine"), hint: "on a path to another person, use --duration"}
	case o.duration <= 0:
		return &usageError{err: errors.New("--duration must be greater than 0")}
	case o.megabytes < 0:
		return &usageError{err: errors.New("--max-mb must not be negative")}
	}
	if err := checkWait(o.wait); err != nil {
		return err
	}
	if o.logger, err = o.log.logger(std.err); err != nil {
		return err
	}
	if err := errors.Join(o.checkServer(), o.proxy.prepare(c)); err != nil {
		return err
	}
	named := o.server
	if len(args) > 0 {
		if o.code, err = o.parse(strings.Join(args, " ")); err != nil {
			return err
		}
	}
	err = o.findKey(named)
	writeNotices(std.err, o.notices...)
	return err
}

// await waits for the other side, for as long as --wait says.
func (o *pathBench) await(ctx context.Context, session *peer.Session, now *outage) (*peer.Pipe, error) {
	if o.wait > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, o.wait, errAbsent)
		defer cancel()
	}
	link, err := session.Pipe(ctx)
	switch {
	case err == nil:
		return link, nil
	case ctx.Err() != nil && errors.Is(context.Cause(ctx), errAbsent):
		return nil, now.cause(&o.talkOptions, errAbsent)
	}
	return nil, atServer(o.server, err)
}

// note tells a person what happens until the two sides have met, and notes outages.
func (o *pathBench) note(e peer.Event, name string, now *outage, notes io.Writer) {
	say := func(format string, args ...any) {
		fmt.Fprintf(notes, "p2pchat: %s\n", screen.Clean(fmt.Sprintf(format, args...)))
	}
	switch e := e.(type) {
	case peer.Waiting:
		now.set(func(t *outage) { t.open = true })
		if o.calls {
			say("code: %s", e.Code) // scripts look for this line
			say("%s: p2pchat bench %s%s", screen.CommandLabel(onLoopback(o.server)), name, o.arguments(e.Code))
		}
	case peer.NoCall:
		say("Nobody is calling in room %s of %s yet.", e.Code.Room, o.server)
	case peer.Connecting:
		now.set(func(t *outage) { t.path = cmp.Or(t.path, fmt.Errorf("%w in time", peer.ErrNoPath)) })
	case peer.Taken:
		now.set(func(t *outage) { t.path = nil })
	case peer.WrongCode:
		now.set(func(t *outage) { t.path = nil })
		if text := (screen.WrongCode{Left: e.Left}).Text(); text != "" {
			say("%s", text)
		}
	case peer.Retrying:
		say("%v. Trying again.", e.Err)
	}
}
