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
	"p2pchat/signaling/internal/ratelimit"
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
		list = append(list, s.config.Relay("host "+ratelimit.Client(infoOf(c).client).String(), nil)...)
	}
	return writeICEServers(c, list)
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
	w := documentOf(anyone, signaling.Caller, signaling.DocDescription)
	_, answered := s.acceptedFrom(t)
	if answered {
		w = documentOf(t, signaling.Caller, signaling.DocCandidates)
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
		return func() error { return s.writeGuestICEServers(c, t, false) }, nil
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
	return func() error { return s.writeGuestICEServers(c, t, accepted) }, err
}

// writeGuestICEServers answers a guest. One client may ask a few times for each room.
func (s *Server) writeGuestICEServers(c echo.Context, t signaling.Ticket, accepted bool) error {
	from := infoOf(c).client
	client := ratelimit.Client(from)
	if !s.rates.guests.Allow(guestKey{t.Room, client}) {
		s.refuse(limitGuests, from)
		return errGuests
	}
	return writeICEServers(c, s.guestICEServers(t, string(client.AsSlice()), accepted))
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

// writeICEServers answers with a list.
func writeICEServers(c echo.Context, list []signaling.ICEServer) error {
	if list == nil {
		list = []signaling.ICEServer{}
	}
	return c.JSON(http.StatusOK, struct {
		ICEServers []signaling.ICEServer `json:"iceServers"`
	}{list})
}

// acceptedFrom returns the index of the first of the caller's candidates that shows that the
// caller has accepted the answer of t's token. It returns false if the token owns no answer, and
// in the lobby of a server with an access key, because any client may write there for the caller.
func (s *Server) acceptedFrom(t signaling.Ticket) (index int, ok bool) {
	if s.acceptor == nil || t.Room == signaling.Lobby && s.config.AccessKey != "" {
		return 0, false
	}
	return s.acceptor.AcceptedFrom(t)
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

// digits returns how many digits the number of a new room should have, so that fewer than one
// number in ten is in use or waited in and guessing rooms is of little use.
func digits(rooms int) int {
	n := signaling.MinRoomDigits
	for ; rooms >= 90 && n < signaling.MaxRoomDigits; rooms /= 10 {
		n++
	}
	return n
}
