package server

import (
	"context"
	"time"

	"p2pchat/signaling"
)

// A Store that is gone cannot be reached.
type gone struct{}

func (gone) Offer(context.Context, signaling.Ticket, signaling.Description) (signaling.Version, error) {
	return "", signaling.ErrUnavailable
}

func (gone) Reoffer(context.Context, signaling.Ticket, signaling.Description) (signaling.Version, error) {
	return "", signaling.ErrUnavailable
}

func (gone) Answer(context.Context, signaling.Ticket, signaling.Version, signaling.Description) (signaling.Version, error) {
	return "", signaling.ErrUnavailable
}

func (gone) Description(context.Context, signaling.Ticket, signaling.Side, signaling.Version, time.Duration) (signaling.Description, signaling.Version, error) {
	return nil, "", signaling.ErrUnavailable
}

func (gone) Offers(context.Context, []signaling.WantedOffer, time.Duration) ([]signaling.Offered, error) {
	return nil, signaling.ErrUnavailable
}

func (gone) AddCandidates(context.Context, signaling.Ticket, int, ...signaling.Candidate) (int, error) {
	return 0, signaling.ErrUnavailable
}

func (gone) Candidates(context.Context, signaling.Ticket, signaling.Side, int, time.Duration) ([]signaling.Candidate, error) {
	return nil, signaling.ErrUnavailable
}

func (gone) Close(context.Context, signaling.Ticket) error { return signaling.ErrUnavailable }
