package peer_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"p2pchat/peer"
	"p2pchat/signaling"
	"p2pchat/signaling/memstore"
)

func TestTamperedCandidates(t *testing.T) {
	flip := func(c signaling.Candidate) signaling.Candidate {
		b := slices.Clone(c)
		if b[len(b)/2]++; b[len(b)/2] == '"' || b[len(b)/2] == '\\' {
			b[len(b)/2]++
		}
		return b
	}
	each := func(change func(signaling.Candidate) signaling.Candidate) func([]signaling.Candidate) []signaling.Candidate {
		return func(list []signaling.Candidate) []signaling.Candidate {
			for i, c := range list {
				list[i] = change(c)
			}
			return list
		}
	}
	for name, scramble := range map[string]func([]signaling.Candidate) []signaling.Candidate{
		"edited":                  each(flip),
		"replaced by the other's": each(func(signaling.Candidate) signaling.Candidate { return signaling.Candidate(`{"sealed":"AAAAAAAAAAA="}`) }),
		"replaced by plain ones": each(func(signaling.Candidate) signaling.Candidate {
			return signaling.Candidate(`{"candidate":"candidate:1 1 udp 2130706431 10.0.0.2 9999 typ host","sdpMLineIndex":0}`)
		}),
		"kept back": func([]signaling.Candidate) []signaling.Candidate { return nil },
	} {
		t.Run("that are "+name+" lead to no connection, whatever opened below", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, store := newNetwork(t, 10*time.Millisecond), hiding{Store: memstore.New(memstore.Limits{}), of: signaling.Caller, scramble: scramble}
				log := &logbook{}
				config := quiet()
				config.Log = log.logger()
				caller := n.calls(t, store, right, quiet())
				callee := n.answers(t, store, right, config)
				// The caller has proof, and may send; the callee has none of the caller.
				p := pipeOf(t, caller)
				send(t, p, callerSays)
				ctx, cancel := context.WithTimeout(context.Background(), peer.ConnectLimit/2)
				defer cancel()
				if to, err := callee.Pipe(ctx); to != nil || !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("the callee has %v, %v", to, err)
				}
				n.sever() // see network.calls
				if _, err := p.Recv(soon(t)); !errors.Is(err, peer.ErrLost) {
					t.Errorf("the caller hears %v", err)
				}
				if name != "kept back" && log.count("dropped a candidate") == 0 {
					t.Error("none was dropped")
				}
			})
		})
	}

	for name, scramble := range map[string]func([]signaling.Candidate) []signaling.Candidate{
		"repeated":     func(l []signaling.Candidate) []signaling.Candidate { return slices.Concat(l, l, l) },
		"out of order": func(l []signaling.Candidate) []signaling.Candidate { slices.Reverse(l); return l },
		"with others between": func(l []signaling.Candidate) []signaling.Candidate {
			return slices.Insert(slices.Clone(l), 0, signaling.Candidate(`{"sealed":"AAAAAAAAAAAA"}`), signaling.Candidate(`{"candidate":""}`))
		},
	} {
		t.Run("that are "+name+" do no harm", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, store := newNetwork(t, 10*time.Millisecond), scrambler{memstore.New(memstore.Limits{}), scramble}
				caller, callee := n.calls(t, store, right, quiet()), n.answers(t, store, right, quiet())
				from, to := pipeOf(t, caller), pipeOf(t, callee)
				converse(t, from, to)
				if !from.Verified || !to.Verified {
					t.Error("it is not verified")
				}
			})
		})
	}
}

// A hiding Store scrambles the candidates of one side.
type hiding struct {
	signaling.Store
	of       signaling.Side
	scramble func([]signaling.Candidate) []signaling.Candidate
}

func (h hiding) Candidates(ctx context.Context, t signaling.Ticket, of signaling.Side, after int, wait time.Duration) ([]signaling.Candidate, error) {
	list, err := h.Store.Candidates(ctx, t, of, after, wait)
	if err != nil || of != h.of {
		return list, err
	}
	if list = h.scramble(slices.Clone(list)); list == nil {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return list, nil
}
