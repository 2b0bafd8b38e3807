package natsstore_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"p2pchat/signaling"
	"p2pchat/signaling/memstore"
	"p2pchat/signaling/natsstore"
)

// What a room is to the checker: who was first with the offer and the answer, and the caller's candidates in order.
type roomState struct{ offer, answer, list string }

// An op is one request to a room, and who makes it.
type op struct{ what, by string }

// What a request comes to.
const (
	accepted = "ok"
	unknown  = "unknown" // its reply was lost: it may take effect at any time, or never
)

// sequential is a room at one server that does one request after the other. Of a request with an unknown outcome both come into question.
// A refusal for want of an offer or a room may come late and change nothing: a node that does not know yet that another one leads
// answers without the others, and the side that was refused asks again.
var sequential = porcupine.NondeterministicModel{
	Init: func() []any { return []any{roomState{}} },
	Step: func(state, input, output any) []any {
		r, o, got := state.(roomState), input.(op), output.(string)
		next, want := r.after(o)
		switch got {
		case unknown:
			return []any{r, next}
		case want:
			return []any{next}
		case signaling.ErrNoOffer.Error(), signaling.ErrNoRoom.Error():
			return []any{r}
		}
		return nil
	},
	DescribeOperation: func(input, output any) string { return fmt.Sprint(input, " → ", output) },
}

func (r roomState) after(o op) (next roomState, outcome string) {
	switch o.what {
	case "offer":
		if r.offer != "" && r.offer != o.by {
			return r, signaling.ErrOccupied.Error()
		}
		r.offer = o.by
	case "answer":
		switch {
		case r.offer == "":
			return r, signaling.ErrNoOffer.Error()
		case r.answer != "" && r.answer != o.by:
			return r, signaling.ErrAnswered.Error()
		}
		r.answer = o.by
	case "read":
		return r, r.answer + ": " + r.list
	default: // a candidate
		switch {
		case r.offer == "":
			return r, signaling.ErrNoRoom.Error()
		case r.offer != o.by:
			return r, signaling.ErrWrongToken.Error()
		}
		r.list += o.what
		return r, strconv.Itoa(strings.Count(r.list, "{"))
	}
	return r, accepted
}

// A history is what happened to one room, at all servers.
type history struct {
	room  string
	begun time.Time
	mu    sync.Mutex // guards what follows
	ops   []porcupine.Operation
}

// do makes a request at one server, and notes when it began and ended, and what came of it.
func (h *history) do(t testing.TB, client int, s signaling.Store, o op) {
	call, to := time.Since(h.begun), signaling.Ticket{Room: h.room, Token: o.by}
	outcome, err := accepted, error(nil) //nolint:wastedassign // each case sets one of the two
	switch o.what {
	case "offer":
		_, err = s.Offer(t.Context(), to, offer)
	case "answer":
		to.Side = signaling.Callee
		_, err = s.Answer(t.Context(), to, "", signaling.Description(fmt.Sprintf(`{"type":"answer","sdp":%q}`, o.by)))
	case "read":
		outcome, err = h.read(t, s)
	default:
		var n int
		n, err = s.AddCandidates(t.Context(), to, -1, signaling.Candidate(o.what))
		outcome = strconv.Itoa(n)
	}
	end := time.Since(h.begun)
	if err != nil {
		outcome, end = unknown, math.MaxInt64
		for _, refusal := range []error{signaling.ErrOccupied, signaling.ErrNoOffer, signaling.ErrAnswered, signaling.ErrNoRoom, signaling.ErrWrongToken} {
			if errors.Is(err, refusal) {
				outcome, end = refusal.Error(), time.Since(h.begun)
			}
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ops = append(h.ops, porcupine.Operation{ClientId: client, Input: o, Call: int64(call), Output: outcome, Return: int64(end)})
}

// read returns who has answered, and the caller's candidates.
func (h *history) read(t testing.TB, s signaling.Store) (string, error) {
	by := ""
	d, _, err := s.Description(t.Context(), signaling.Ticket{Room: h.room}, signaling.Callee, "", 0)
	if err == nil {
		by = strings.Split(string(d), `"`)[7]
	} else if !errors.Is(err, signaling.ErrNoAnswer) && !errors.Is(err, signaling.ErrNoRoom) {
		return "", err
	}
	list, err := s.Candidates(t.Context(), signaling.Ticket{Room: h.room}, signaling.Caller, 0, 0)
	var b strings.Builder
	for _, c := range list {
		b.Write(c)
	}
	return by + ": " + b.String(), err
}

// crowd has two callers and three callees want one room at any of the servers, at once. The reads at the end are of each server.
func crowd(t testing.TB, room string, servers []signaling.Store, settled func()) []porcupine.Operation {
	h := &history{room: room, begun: time.Now()}
	at := func(i int) signaling.Store { return servers[i%len(servers)] }
	var all sync.WaitGroup
	for i := range 2 {
		all.Go(func() {
			by := fmt.Sprint("caller", i)
			h.do(t, i, at(i), op{"offer", by})
			for n := range 4 {
				h.do(t, i, at(i+n), op{fmt.Sprintf(`{"n":"%d.%d"}`, i, n), by})
			}
		})
	}
	for i := range 3 {
		all.Go(func() {
			for n := range 3 {
				h.do(t, 2+i, at(i+n), op{"answer", fmt.Sprint("callee", i)})
			}
		})
	}
	all.Wait()
	settled()
	for i, s := range servers {
		h.do(t, 5+i, s, op{"read", ""})
	}
	return h.ops
}

// judge asks whether one server that does one request after the other could have given these replies.
func judge(ops []porcupine.Operation) porcupine.CheckResult {
	return porcupine.CheckOperationsTimeout(sequential.ToModel(), ops, 20*time.Second)
}

// Two servers over three nodes of NATS, of which the leader is killed: to the callers and callees of a room they are one server. The
// first offer and the first answer are the only ones, and each candidate is in the list where its reply says, once.
func TestLinearizable(t *testing.T) {
	t.Parallel()
	kills := 6
	if testing.Short() {
		kills = 1
	}
	c := nats(t, 3)
	servers := make([]signaling.Store, 2)
	for i := range servers {
		s, err := natsstore.Open(t.Context(), natsstore.Config{URL: c.url(), Patience: 20 * time.Second, Log: slog.New(slog.DiscardHandler)})
		ok(t, err)
		t.Cleanup(s.Stop)
		servers[i] = s
	}
	conn, err := natsgo.Connect(c.url(), natsgo.MaxReconnects(-1), natsgo.UserInfo("ann", "s3cret"))
	ok(t, err)
	defer conn.Close()
	js, err := jetstream.New(conn)
	ok(t, err)

	var rooms, unsure atomic.Int64
	over, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	defer all.Wait() // also if a step below fails
	defer cancel()
	for range 4 {
		all.Go(func() {
			for over.Err() == nil {
				room := fmt.Sprint("room", rooms.Add(1))
				h := crowd(t, room, servers, func() { caughtUp(t, room, servers) })
				for _, o := range h {
					if o.Output == unknown {
						unsure.Add(1)
					}
				}
				if r := judge(h); r != porcupine.Ok {
					t.Errorf("%s is not that of one server (%s): %v", room, r, h)
				}
			}
		})
	}
	for n := range kills {
		due := rooms.Load() + 40
		eventually(t, "rooms are used", func() bool { return rooms.Load() >= due || t.Failed() })
		leader := ""
		eventually(t, "three nodes have the stream", func() bool {
			leader = leaderOf(t, js, "sig")
			return leader != ""
		})
		node := int(leader[1] - '0')
		c.kill(node)
		due = rooms.Load() + 20
		eventually(t, "rooms are used without the node", func() bool { return rooms.Load() >= due || t.Failed() })
		if n < kills-1 {
			c.start(node)
		}
	}
	cancel()
	all.Wait()
	t.Logf("%d rooms, %d leaders killed, %d requests without a reply", rooms.Load(), kills, unsure.Load())
}

// caughtUp waits until all servers show the same of a room: a read comes from the server's replica, which a write at another server
// reaches a little later.
func caughtUp(t testing.TB, room string, servers []signaling.Store) {
	h := &history{room: room}
	eventually(t, "the servers agree on "+room, func() bool {
		var seen []string
		for _, s := range servers {
			r, err := h.read(t, s)
			if err != nil {
				return false
			}
			seen = append(seen, r)
		}
		return len(slices.Compact(seen)) == 1
	})
}

// The checker finds each of these faults in a few rooms.
func TestLinearizableFindsFaults(t *testing.T) {
	t.Parallel()
	for name, broken := range map[string]func(signaling.Store) signaling.Store{
		"":                                     func(s signaling.Store) signaling.Store { return s },
		"the last answer wins":                 func(s signaling.Store) signaling.Store { return &lastAnswer{Store: s} },
		"a candidate is acknowledged and lost": func(s signaling.Store) signaling.Store { return &losing{Store: s} },
		"a candidate is added twice":           func(s signaling.Store) signaling.Store { return &twice{Store: s} },
		"a second caller is told that it was first": func(s signaling.Store) signaling.Store { return &kind{Store: s} },
	} {
		t.Run(name, func(t *testing.T) {
			s := broken(memstore.New(memstore.Limits{}))
			result := porcupine.Ok
			for n := 0; n < 20 && result == porcupine.Ok; n++ {
				result = judge(crowd(t, fmt.Sprint("room", n), []signaling.Store{s, s}, func() {}))
			}
			if want := map[bool]porcupine.CheckResult{true: porcupine.Ok, false: porcupine.Illegal}[name == ""]; result != want {
				t.Errorf("the checker says %s, want %s", result, want)
			}
		})
	}
}

// lastAnswer shows the answer that came last.
type lastAnswer struct {
	signaling.Store
	last sync.Map // description, by room
}

func (s *lastAnswer) Answer(ctx context.Context, t signaling.Ticket, to signaling.Version, d signaling.Description) (signaling.Version, error) {
	v, err := s.Store.Answer(ctx, t, to, d)
	if err == nil || errors.Is(err, signaling.ErrAnswered) {
		s.last.Store(t.Room, d)
		return v, nil
	}
	return v, err
}

func (s *lastAnswer) Description(ctx context.Context, t signaling.Ticket, of signaling.Side, known signaling.Version, wait time.Duration) (signaling.Description, signaling.Version, error) {
	d, v, err := s.Store.Description(ctx, t, of, known, wait)
	if last, found := s.last.Load(t.Room); found && of == signaling.Callee {
		d = last.(signaling.Description)
	}
	return d, v, err
}

// losing loses the third candidate of a room after it was acknowledged.
type losing struct{ signaling.Store }

func (s *losing) Candidates(ctx context.Context, t signaling.Ticket, of signaling.Side, after int, wait time.Duration) ([]signaling.Candidate, error) {
	list, err := s.Store.Candidates(ctx, t, of, after, wait)
	if len(list) > 2 {
		list = slices.Delete(slices.Clone(list), 2, 3)
	}
	return list, err
}

// twice repeats a write whose reply it takes for lost.
type twice struct{ signaling.Store }

func (s *twice) AddCandidates(ctx context.Context, t signaling.Ticket, at int, c ...signaling.Candidate) (int, error) {
	_, _ = s.Store.AddCandidates(ctx, t, at, c...)
	return s.Store.AddCandidates(ctx, t, at, c...)
}

// kind refuses no caller.
type kind struct{ signaling.Store }

func (s *kind) Offer(ctx context.Context, t signaling.Ticket, d signaling.Description) (signaling.Version, error) {
	v, err := s.Store.Offer(ctx, t, d)
	if errors.Is(err, signaling.ErrOccupied) {
		err = nil
	}
	return v, err
}
