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

// An Acceptor is a Store that knows which candidates of a caller came after an answer. A server
// of another Store accepts no guest: its relay is for those who have the access key.
type Acceptor interface {
	// AcceptedFrom returns how many of the caller's candidates were there before the answer that
	// the ticket's token owns. It returns false if the token owns no answer.
	AcceptedFrom(answer signaling.Ticket) (index int, ok bool)
}

// getICEServers answers a caller. The caller has sent the access key if the server has one.
func (s *Server) getICEServers(c echo.Context) error {
	if s.config.Load != nil {
		c.Response().Header().Set(signaling.RoomDigitsHeader, strconv.Itoa(digits(s.config.Load())))
	}
	list := slices.Clone(s.config.ICEServers)
	if s.config.Relay != nil {
		list = append(list, s.config.Relay("host "+client(c.(*guest).client).String(), nil)...)
	}
	return listed(c, list)
}

// getGuestICEServers answers a guest of a room. If the server has an access key, the guest has to
// prove that it belongs in the room, because a room's name can be guessed: its token has to own
// an answer that the caller has accepted. Without that proof the list has no server with a
// password but this server's relay, which holds the guest's requests until the caller accepts.
// A guest whose answer exists may wait for that here, too.
func (s *Server) getGuestICEServers(c echo.Context) error {
	t, err := ticket(c, signaling.Callee)
	if err != nil {
		return err
	}
	anyone := signaling.Ticket{Room: t.Room, Side: t.Side}
	w := watched{anyone, signaling.Caller, signaling.DocDescription}
	_, answered := s.acceptedFrom(t)
	if answered {
		w = watched{t, signaling.Caller, signaling.DocCandidates}
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
	after, _ := s.acceptedFrom(t)
	list, err := s.store.Candidates(ctx, t, signaling.Caller, after, wait)
	from, ok := s.acceptedFrom(t)
	accepted := err == nil && ok && after+len(list) > from
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

var errGuests = signaling.Explain(signaling.ErrTooMany, "Your network address asked for the ICE servers of this room too often. Try again in a few seconds.")

// guestListed answers a guest. One client asks a few times for a room, and no more.
func (s *Server) guestListed(c echo.Context, t signaling.Ticket, accepted bool) error {
	from := c.(*guest).client
	if ok, err := s.guests.Allow(t.Room + " " + client(from).String()); !ok || err != nil {
		s.refuse(limitGuests, from)
		return errors.Join(errGuests, err)
	}
	return listed(c, s.guestICEServers(t, string(client(from).AsSlice()), accepted))
}

// guestICEServers returns the list for the guest with a ticket, a client at the network from.
func (s *Server) guestICEServers(t signaling.Ticket, from string, accepted bool) (list []signaling.ICEServer) {
	open := s.config.AccessKey == "" // a guest could ask as a caller
	for _, one := range s.config.ICEServers {
		if one.Credential == "" || accepted || open {
			list = append(list, one)
		}
	}
	switch {
	case s.config.Relay == nil:
	case open:
		list = append(list, s.config.Relay("room "+t.Room, nil)...)
	default:
		if t.From = from; t.Room == signaling.Lobby {
			t.Token = "" // no answer there can be accepted, see acceptedFrom: credentials would be of no use
		}
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

// acceptedFrom returns the index of the first of the caller's candidates that shows that the
// caller has accepted the answer of t's token. It returns false if the token owns no answer, and
// in the lobby of a server with an access key, because any client may write there for the caller.
func (s *Server) acceptedFrom(t signaling.Ticket) (index int, ok bool) {
	if s.accepts == nil || t.Room == signaling.Lobby && s.config.AccessKey != "" {
		return 0, false
	}
	return s.accepts.AcceptedFrom(t)
}

// Accepted waits until the caller has accepted the answer that was written with a callee's
// ticket, and reports whether it has: candidates of the caller follow an answer that it
// accepted, and a new offer turns the other answers down. It returns false when ctx ends.
func (s *Server) Accepted(ctx context.Context, t signaling.Ticket) bool {
	// The guest's request to the relay may arrive before its answer does.
	if _, _, err := s.store.Description(ctx, signaling.Ticket{Room: t.Room, Side: signaling.Callee}, signaling.Callee, "", signaling.Forever); err != nil {
		return false
	}
	after, _ := s.acceptedFrom(t)
	list, err := s.store.Candidates(ctx, t, signaling.Caller, after, signaling.Forever)
	from, ok := s.acceptedFrom(t)
	return err == nil && ok && after+len(list) > from
}
