package server

import (
	"context"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"p2pchat/signaling"
	"p2pchat/signaling/internal/ratelimit"
)

// roomsPerRequest is how many rooms of one read cost as much as a request: to look into a room is far less work
// than to answer a request, and one that waits takes a twentieth of the memory.
const roomsPerRequest = 16

// listenCost returns how many requests a read of the offers of n rooms counts as, for Rate and for MaxWaiting.
func listenCost(n int) int64 { return int64(1 + n/roomsPerRequest) }

// postListen reads the offers of many rooms. It is a read, though its method is that of a write, because a list of
// rooms does not fit into an address.
func (s *Server) postListen(c echo.Context) error {
	body, err := s.readBody(c)
	if err != nil {
		return err
	}
	wanted, err := signaling.ParseWanted(body)
	if err != nil {
		return err
	}
	if err := s.limitListen(c, len(wanted)); err != nil {
		return err
	}
	var watch watchFunc
	if s.watcher != nil {
		watch = func(wake func(error)) (stop func()) { return s.watcher.WatchOffers(wanted, wake) }
	}
	return s.await(c, awaited{watch: watch}, func(ctx context.Context, wait time.Duration) (func() error, error) {
		list, err := s.store.Offers(ctx, wanted, wait)
		if err != nil {
			return nil, err
		}
		if len(list) == 0 {
			err = signaling.ErrUnchanged
		}
		return func() error { return writeJSON(c, http.StatusOK, signaling.JoinOffers(list)) }, err
	})
}

// limitListen counts what limitRate has not counted of a read of n rooms.
func (s *Server) limitListen(c echo.Context, n int) error {
	info := infoOf(c)
	if info.resumed != nil {
		return nil
	}
	info.cost = listenCost(n)
	more := int(info.cost) - 1
	if !s.rates.client.AllowN(ratelimit.Client(info.client), more) {
		return s.tooMany(c, limitClient, s.config.Rate.Client, signaling.ErrTooMany)
	}
	if !s.rates.all.AllowN(struct{}{}, more) {
		return s.tooMany(c, limitAll, s.config.Rate.All, errAll)
	}
	return nil
}
