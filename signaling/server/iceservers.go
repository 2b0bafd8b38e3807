package server

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"p2pchat/signaling"
)

// getICEServers answers a caller, who has the access key where there is one.
func (s *Server) getICEServers(c echo.Context) error {
	if s.config.Load != nil {
		c.Response().Header().Set(signaling.DigitsHeader, strconv.Itoa(digits(s.config.Load())))
	}
	list := slices.Clone(s.config.ICEServers)
	if s.config.Relay != nil {
		list = append(list, s.config.Relay("host "+client(c.(*guest).client).String(), nil)...)
	}
	return listed(c, list)
}

// getGuestICEServers answers a guest of a room, who has to prove that it belongs there: a
// room's name can be guessed. The proof is the token of an answer that the caller has
// accepted. Without it there are no servers that take a password, but for this server's
// relay, which keeps a guest waiting until the proof is there. A guest whose answer stands
// may wait for that, too.
func (s *Server) getGuestICEServers(c echo.Context) error {
	t, err := ticket(c, signaling.Callee)
	if err != nil {
		return err
	}
	anyone := signaling.Ticket{Room: t.Room, Side: t.Side}
	w := watched{anyone, signaling.Caller, signaling.TheDescription}
	answered := s.owns(c.Request().Context(), t)
	if answered {
		w = watched{t, signaling.Caller, signaling.TheCandidates}
	}
	return s.await(c, w, func(ctx context.Context, wait time.Duration) (func() error, error) {
		if answered {
			return s.acceptedICEServers(ctx, c, t, wait)
		}
		_, _, err := s.store.Description(ctx, anyone, signaling.Caller, "", wait)
		if errors.Is(err, signaling.ErrNoOffer) {
			return nil, signaling.ErrNoRoom
		}
		if err != nil {
			return nil, err
		}
		return func() error { return s.guestListed(c, t, false) }, nil
	})
}

// acceptedICEServers waits until the guest is accepted or turned down. Its error is
// ErrUnchanged, with the list that the guest may have, if it is neither.
func (s *Server) acceptedICEServers(ctx context.Context, c echo.Context, t signaling.Ticket, wait time.Duration) (func() error, error) {
	list, err := s.store.Candidates(ctx, t, signaling.Caller, 0, wait)
	accepted := err == nil && len(list) > 0 && s.owns(ctx, t)
	switch {
	case errors.Is(err, signaling.ErrTurnedDown):
		err = nil
	case err != nil:
		return nil, err
	case len(list) == 0:
		err = signaling.ErrUnchanged
	}
	return func() error { return s.guestListed(c, t, accepted) }, err
}

// guestListed answers a guest. One client asks a few times for a room, and no more.
func (s *Server) guestListed(c echo.Context, t signaling.Ticket, accepted bool) error {
	from := c.(*guest).client
	if ok, err := s.guests.Allow(t.Room + " " + client(from).String()); !ok || err != nil {
		s.refuse(limitGuests, from)
		return errors.Join(signaling.ErrTooMany, err)
	}
	return listed(c, s.guestICEServers(t, accepted))
}

func (s *Server) guestICEServers(t signaling.Ticket, accepted bool) (list []signaling.ICEServer) {
	for _, one := range s.config.ICEServers {
		if one.Credential == "" || accepted {
			list = append(list, one)
		}
	}
	if s.config.Relay != nil {
		list = append(list, s.config.Relay("room "+t.Room, &t)...)
	}
	return list
}

func listed(c echo.Context, list []signaling.ICEServer) error {
	if list == nil {
		list = []signaling.ICEServer{}
	}
	return c.JSON(http.StatusOK, map[string]any{"iceServers": list})
}

// owns reports whether the room's answer was written with t's token. The write that asks
// changes nothing.
func (s *Server) owns(ctx context.Context, t signaling.Ticket) bool {
	if t.Token == "" {
		return false
	}
	_, err := s.store.AddCandidates(ctx, t, 0)
	return err == nil
}

// Accepted waits until the caller has accepted the answer that was written with a callee's
// ticket, and reports whether it has: candidates of the caller follow an answer that it
// accepted, and an offer that it replaces takes back the others. It returns when ctx ends.
func (s *Server) Accepted(ctx context.Context, t signaling.Ticket) bool {
	// The request that asks may be quicker than the answer, of which any guest may be told.
	if _, _, err := s.store.Description(ctx, signaling.Ticket{Room: t.Room, Side: signaling.Callee}, signaling.Callee, "", signaling.Forever); err != nil {
		return false
	}
	list, err := s.store.Candidates(ctx, t, signaling.Caller, 0, signaling.Forever)
	return err == nil && len(list) > 0 && s.owns(ctx, t)
}
