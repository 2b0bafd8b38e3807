package peer_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/webrtc/v4"

	"p2pchat/peer"
	"p2pchat/signaling"
	"p2pchat/signaling/memstore"
)

// The messages of the two, which no third program may read.
const (
	callerSays = "the caller's message"
	calleeSays = "the callee's message"
)

// A wiretap is what an attacker heard.
type wiretap struct {
	mu   sync.Mutex // guards what follows
	text []string
}

func (w *wiretap) note(text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.text = append(w.text, text)
}

func (w *wiretap) heard(texts ...string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !slices.ContainsFunc(texts, func(text string) bool { return !slices.Contains(w.text, text) })
}

func (w *wiretap) nothing(t *testing.T) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.text) > 0 {
		t.Errorf("the attacker heard %q", w.text)
	}
}

// A server that keeps the two apart, and stands in the middle with a PeerConnection to
// either side: it is two Stores to them, in which the attacker meets each.
func TestTheManInTheMiddle(t *testing.T) {
	t.Run("without the handshake reads along, where both were content without", func(t *testing.T) {
		const code = signaling.Lobby
		near, far := newNetwork(t, time.Millisecond), newNetwork(t, time.Millisecond)
		callers, callees, tap := memstore.New(memstore.Limits{}), memstore.New(memstore.Limits{}), &wiretap{}
		caller, callee := near.calls(t, callers, code, quiet()), far.answers(t, callees, code, quiet())
		swap(t, near, far, callers, callees, tap)
		from, to := pipeOf(t, caller), pipeOf(t, callee)
		converse(t, from, to)
		if !tap.heard(callerSays, calleeSays) {
			t.Errorf("the attacker heard %q only", tap.text)
		}
		for _, p := range []*peer.Pipe{from, to} {
			if p.Verified || !p.Foreign || p.SafetyWords != nil {
				t.Errorf("verified: %v, foreign: %v, words: %q", p.Verified, p.Foreign, p.SafetyWords)
			}
		}
	})

	t.Run("without the handshake is refused by both sides, where they have a secret", func(t *testing.T) {
		const code = signaling.Lobby + "-falcon-zebra"
		near, far := newNetwork(t, time.Millisecond), newNetwork(t, time.Millisecond)
		callers, callees, tap := memstore.New(memstore.Limits{}), memstore.New(memstore.Limits{}), &wiretap{}
		config, events := telling()
		caller := near.calls(t, callers, code, config)
		callee := far.answers(t, callees, code, quiet())
		swap(t, near, far, callers, callees, tap)
		_ = fails(t, callee, peer.ErrImpostor)
		await[peer.WrongCode](t, events)
		caller.Close()
		_ = fails(t, caller, context.Canceled)
		tap.nothing(t)
	})

	for name, c := range map[string]struct {
		code, guess   string
		reads, differ bool
	}{
		"reads along and shows other words, where there is no secret": {open, open, true, true},
		"is refused by both sides with a wrong guess":                 {right, wrong, false, false},
		"is refused by both sides without a guess":                    {right, open, false, false},
		"reads along with a right guess, which is what a secret is":   {right, right, true, true},
	} {
		t.Run("with the handshake "+name, func(t *testing.T) {
			callers, callees, tap := memstore.New(memstore.Limits{}), memstore.New(memstore.Limits{}), &wiretap{}
			config, events := telling()
			caller, callee := calling(t, callers, c.code, config), answering(t, callees, c.code, quiet())
			toCaller, toCallee := answering(t, callers, c.guess, quiet()), calling(t, callees, c.guess, quiet())
			if !c.reads {
				_ = fails(t, callee, peer.ErrWrongCode)
				await[peer.WrongCode](t, events)
				_ = fails(t, toCaller, peer.ErrWrongCode)
				tap.nothing(t)
				return
			}
			relay(t, pipeOf(t, toCaller), pipeOf(t, toCallee), tap)
			from, to := pipeOf(t, caller), pipeOf(t, callee)
			converse(t, from, to)
			if !tap.heard(callerSays, calleeSays) {
				t.Errorf("the attacker heard %q only", tap.text)
			}
			if differ := !slices.Equal(from.SafetyWords, to.SafetyWords); differ != c.differ {
				t.Errorf("the words are %q and %q", from.SafetyWords, to.SafetyWords)
			}
		})
	}

	for name, secret := range map[string]string{"with a secret": right, "without one": open} {
		t.Run("who puts an SDP of its own into the handshake is refused, "+name, func(t *testing.T) {
			n, tap := newNetwork(t, time.Millisecond), &wiretap{}
			own := listening(t, tap)
			store := swapping{memstore.New(memstore.Limits{}), own}
			config, events := telling()
			caller := n.calls(t, store, secret, config)
			callee := n.answers(t, store, secret, quiet())
			if secret == right {
				await[peer.WrongCode](t, events)
			} else {
				await[peer.Retrying](t, events)
			}
			_ = fails(t, callee, peer.ErrWrongCode)
			caller.Close()
			_ = fails(t, caller, context.Canceled)
			tap.nothing(t)
		})
	}
}

// converse sends a message each way.
func converse(t *testing.T, from, to *peer.Pipe) {
	t.Helper()
	send(t, from, callerSays)
	hears(t, to, callerSays)
	send(t, to, calleeSays)
	hears(t, from, calleeSays)
}

// swap meets the caller as a callee and the callee as a caller, as plain programs do, and
// hands on what they say.
func swap(t *testing.T, near, far *network, callers, callees signaling.Store, tap *wiretap) {
	t.Helper()
	toCaller, toCallee := newStranger(t, callers, near.callee, signaling.Callee), newStranger(t, callees, far.caller, signaling.Caller)
	toCallee.channel(t, "chat")
	for _, s := range []*stranger{toCaller, toCallee} {
		s.trickle(t)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	t.Cleanup(wg.Wait)
	t.Cleanup(cancel)
	for _, pair := range [][2]*stranger{{toCaller, toCallee}, {toCallee, toCaller}} {
		wg.Go(func() {
			out := (<-chan *webrtc.DataChannel)(pair[1].channels)
			var to *webrtc.DataChannel
			for {
				in := (<-chan webrtc.DataChannelMessage)(nil)
				if to != nil {
					in = pair[0].heard
				}
				select {
				case to = <-out:
				case m := <-in:
					tap.note(string(m.Data))
					if err := to.SendText(string(m.Data)); err != nil {
						t.Error(err)
					}
				case <-ctx.Done():
					return
				}
			}
		})
	}
	toCaller.answer(t)
	toCallee.call(t)
}

// relay hands on what comes out of each pipe.
func relay(t *testing.T, a, b *peer.Pipe, tap *wiretap) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	t.Cleanup(wg.Wait)
	t.Cleanup(cancel)
	for _, pair := range [][2]*peer.Pipe{{a, b}, {b, a}} {
		wg.Go(func() {
			for {
				m, err := pair[0].Recv(ctx)
				if err != nil {
					return
				}
				tap.note(string(m))
				if err := pair[1].Send(ctx, m); err != nil {
					return
				}
			}
		})
	}
}

// listening returns a description of a program that takes any channel.
func listening(t *testing.T, tap *wiretap) map[signaling.Side]string {
	t.Helper()
	pc, err := webrtc.NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pc.GracefulClose() }) // it may be closed
	pc.OnDataChannel(func(dc *webrtc.DataChannel) {
		dc.OnMessage(func(m webrtc.DataChannelMessage) { tap.note(string(m.Data)) })
	})
	if _, err := pc.CreateDataChannel("chat", nil); err != nil {
		t.Fatal(err)
	}
	offer, err := pc.CreateOffer(nil)
	if err != nil {
		t.Fatal(err)
	}
	return map[signaling.Side]string{
		signaling.Caller: offer.SDP,
		signaling.Callee: strings.ReplaceAll(offer.SDP, "a=setup:actpass", "a=setup:active"),
	}
}

// A swapping Store puts an SDP of its own into what it hands on, and leaves the rest.
type swapping struct {
	signaling.Store
	own map[signaling.Side]string
}

func (s swapping) Description(ctx context.Context, t signaling.Ticket, of signaling.Side, known signaling.Version, wait time.Duration) (signaling.Description, signaling.Version, error) {
	d, v, err := s.Store.Description(ctx, t, of, known, wait)
	if err != nil {
		return d, v, err
	}
	var members map[string]any
	if err := json.Unmarshal(d, &members); err != nil {
		return nil, "", err
	}
	members["sdp"] = s.own[of]
	b, err := json.Marshal(members)
	return b, v, err
}

func TestAReplayedOffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, store := newNetwork(t, time.Millisecond), &replaying{Store: memstore.New(memstore.Limits{})}
		config, events := telling()
		caller := n.calls(t, store, right, config)
		await[peer.Waiting](t, events)
		liar := answering(t, store, wrong, quiet().Over(n.callee)) // so that the caller makes a second offer
		_ = fails(t, liar, peer.ErrWrongCode)
		await[peer.WrongCode](t, events)
		await[peer.Waiting](t, events)
		for range peer.Guesses - 1 { // the right code, for an offer that is no more
			callee := answering(t, store, right, quiet().Over(n.callee))
			_ = fails(t, callee, peer.ErrWrongCode)
			await[peer.WrongCode](t, events)
		}
		_ = fails(t, caller, peer.ErrBurnt)
		if store.replayed.Load() < peer.Guesses-1 {
			t.Error("no old offer was handed out")
		}
	})
}

// A replaying Store hands out the first offer it was given as if it were the newest.
type replaying struct {
	signaling.Store
	first    atomic.Pointer[signaling.Description]
	replayed atomic.Int64
}

func (r *replaying) Description(ctx context.Context, t signaling.Ticket, of signaling.Side, known signaling.Version, wait time.Duration) (signaling.Description, signaling.Version, error) {
	d, v, err := r.Store.Description(ctx, t, of, known, wait)
	if err != nil || of != signaling.Caller || r.first.CompareAndSwap(nil, &d) {
		return d, v, err
	}
	r.replayed.Add(1)
	return *r.first.Load(), v, nil
}

// A server that says 201 and forgets: the caller opens its room again and again, the two
// never meet, and no answer counts as a guess.
func TestAStoreThatForgetsACode(t *testing.T) {
	t.Run("each time keeps the two apart, and that is all", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n := newNetwork(t, time.Millisecond)
			store := &recorder{Store: forgetful{memstore.New(memstore.Limits{})}}
			caller, callee := n.calls(t, store, right, quiet()), n.answers(t, store, right, quiet())
			for _, s := range []*peer.Session{caller, callee} {
				ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
				if _, err := s.Pipe(ctx); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("it says %v", err)
				}
				cancel()
			}
			if _, c := store.written(); len(c) > 0 {
				t.Errorf("candidates were written: %q", c)
			}
		})
	})

	t.Run("answers allows three guesses", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n, store := newNetwork(t, time.Millisecond), &fishing{Store: memstore.New(memstore.Limits{})}
			callee := n.answers(t, store, right, quiet())
			_ = fails(t, callee, peer.ErrImpostor)
			if got := store.answers.Load(); got != peer.Guesses {
				t.Errorf("it gave %d answers, each good for a guess; want %d", got, peer.Guesses)
			}
		})
	})
}

// A forgetful Store says that it has taken an offer, and has not.
type forgetful struct{ signaling.Store }

func (forgetful) Offer(context.Context, signaling.Ticket, signaling.Description) (signaling.Version, error) {
	return "offer", nil
}

// A fishing Store makes an offer with a guess of its own for every answer, and says of
// each that it came too late.
type fishing struct {
	signaling.Store
	reads, answers atomic.Int64
}

func (f *fishing) Description(ctx context.Context, _ signaling.Ticket, _ signaling.Side, _ signaling.Version, _ time.Duration) (signaling.Description, signaling.Version, error) {
	n := f.reads.Add(1)
	if n > hot {
		<-ctx.Done()
		return nil, "", ctx.Err()
	}
	pc, err := webrtc.NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = pc.Close() }() // it never connected
	if _, err := pc.CreateDataChannel("chat", nil); err != nil {
		return nil, "", err
	}
	offer, err := pc.CreateOffer(nil)
	if err != nil {
		return nil, "", err
	}
	_, d, err := peer.Propose(code(wrong), offer.SDP)
	return d, signaling.Version(rune('a' + n%26)), err
}

func (f *fishing) Answer(context.Context, signaling.Ticket, signaling.Version, signaling.Description) (signaling.Version, error) {
	f.answers.Add(1)
	return "", signaling.ErrSuperseded
}
