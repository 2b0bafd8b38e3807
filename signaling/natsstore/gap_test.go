package natsstore

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"p2pchat/signaling"
	"p2pchat/signaling/memstore"
)

// A read that has found the room is told that the room was closed before it began to wait.
func TestACloseBetweenLookingAndWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Store{Store: memstore.New(memstore.Limits{})} // NATS is asked only before a refusal
		caller, callee := signaling.NewTicket("blue", signaling.Caller), signaling.NewTicket("blue", signaling.Callee)
		if _, err := s.Store.Offer(t.Context(), caller, signaling.Description(`{"type":"offer","sdp":""}`)); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		err := s.read(ctx, callee, signaling.Forever, func(wait time.Duration, found bool) error {
			_, err := s.candidates(ctx, callee, signaling.Caller, 0, wait, found)
			if wait == 0 {
				err = errors.Join(err, s.Store.Close(ctx, caller))
			}
			return err
		})
		if !errors.Is(err, signaling.ErrClosed) {
			t.Errorf("it is told: %v", err)
		}
	})
}
