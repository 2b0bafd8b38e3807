package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"p2pchat/signaling"
)

const (
	strongToken    = 22              // characters of 128 random bits in base64
	heldCandidates = 2 * time.Second // how long candidates wait for a description that their client sends at the same time
)

func (s *Server) postOffer(c echo.Context) error {
	return s.postDescription(c, signaling.Caller, func(ctx context.Context, t signaling.Ticket, d signaling.Description) (signaling.Version, error) {
		return s.store.Offer(ctx, t, d)
	})
}

func (s *Server) postAnswer(c echo.Context) error {
	return s.postDescription(c, signaling.Callee, func(ctx context.Context, t signaling.Ticket, d signaling.Description) (signaling.Version, error) {
		sent := c.Request().Header.Values("If-Match")
		expected := tags(sent)
		switch {
		case len(sent) == 0 || slices.Contains(expected, "*"):
			return s.store.Answer(ctx, t, "", d)
		case len(expected) == 0:
			expected = []signaling.Version{`""`} // a header without a tag matches no offer
		}
		var v signaling.Version
		err := signaling.ErrSuperseded
		for _, to := range expected {
			if v, err = s.store.Answer(ctx, t, to, d); !errors.Is(err, signaling.ErrSuperseded) {
				break
			}
		}
		return v, err
	})
}

// postDescription writes a description, and answers with the token that owns it: that of the
// request, or a new one.
func (s *Server) postDescription(c echo.Context, side signaling.Side, write func(context.Context, signaling.Ticket, signaling.Description) (signaling.Version, error)) error {
	t, err := ticket(c, side)
	if err != nil {
		return err
	}
	if t.Token == "" {
		t = signaling.NewTicket(t.Room, side)
	}
	body, err := s.readBody(c)
	if err != nil {
		return err
	}
	t.From = s.from(c, side)
	v, err := write(c.Request().Context(), t, body)
	if err != nil {
		return err
	}
	h := c.Response().Header()
	h["Etag"] = []string{tag(v)}
	if side == signaling.Callee {
		return writeJSON(c, http.StatusCreated, encodeReply("token", t.Token))
	}
	h["Location"] = []string{"/rooms/" + url.PathEscape(t.Room) + "/offer"}
	return writeJSON(c, http.StatusCreated, encodeReply("room", t.Room, "token", t.Token))
}

func (s *Server) putOffer(c echo.Context) error {
	t, err := ticket(c, signaling.Caller)
	if err != nil {
		return err
	}
	body, err := s.readBody(c)
	if err != nil {
		return err
	}
	t.From = s.from(c, signaling.Caller)
	v, err := s.store.Reoffer(c.Request().Context(), t, body)
	if err != nil {
		return err
	}
	c.Response().Header()["Etag"] = []string{tag(v)}
	return writeJSON(c, http.StatusOK, encodeReply("room", t.Room))
}

func (s *Server) getDescription(of signaling.Side) echo.HandlerFunc {
	return func(c echo.Context) error {
		t, err := ticket(c, of.Other())
		if err != nil {
			return err
		}
		had := tags(c.Request().Header.Values("If-None-Match"))
		return s.await(c, documentOf(t, of, signaling.DocDescription), func(ctx context.Context, wait time.Duration) (func() error, error) {
			d, v, err := s.readDescription(ctx, t, of, had, wait)
			switch {
			case errors.Is(err, signaling.ErrUnchanged):
				c.Response().Header().Set("ETag", tag(v))
			case errors.Is(err, signaling.ErrNoAnswer) && infoOf(c).waits && (t.Token != "" || s.isOpen(ctx, t.Room)): // with a token, the Store tells the two apart
				err = errUnanswered
			}
			if err != nil {
				return nil, err
			}
			return func() error {
				c.Response().Header()["Etag"] = []string{tag(v)}
				return writeJSON(c, http.StatusOK, d)
			}, nil
		})
	}
}

// errUnanswered is ErrNoAnswer of a room that has an offer.
var errUnanswered = fmt.Errorf("%w", signaling.ErrNoAnswer)

// readDescription is the Store's Description for a client that has these versions, or any if one is "*". With ErrUnchanged it returns the
// client's version.
func (s *Server) readDescription(ctx context.Context, t signaling.Ticket, of signaling.Side, had []signaling.Version, wait time.Duration) (d signaling.Description, v signaling.Version, err error) {
	var known signaling.Version
	looks := len(had) > 1 || slices.Contains(had, "*")
	if looks {
		_, now, err := s.store.Description(ctx, t, of, "", 0)
		if err == nil && (slices.Contains(had, now) || slices.Contains(had, "*")) {
			known = now
		}
	} else if len(had) == 1 {
		known = had[0]
	}
	switch d, v, err = s.store.Description(ctx, t, of, known, wait); {
	case errors.Is(err, signaling.ErrUnchanged):
		v = known
	case errors.Is(err, signaling.ErrNoOffer) && looks && known != "": // between the two reads
		err = signaling.ErrClosed
	}
	return d, v, err
}

// isOpen reports whether a room has an offer.
func (s *Server) isOpen(ctx context.Context, room string) bool {
	_, _, err := s.store.Description(ctx, signaling.Ticket{Room: room}, signaling.Caller, "", 0)
	return err == nil
}

func (s *Server) postCandidates(side signaling.Side) echo.HandlerFunc {
	return func(c echo.Context) error {
		t, err := ticket(c, side)
		if err != nil {
			return err
		}
		at, err := index(c, "at", -1)
		if err != nil {
			return err
		}
		body, err := s.readBody(c)
		if err != nil {
			return err
		}
		list, err := signaling.ParseCandidates(body)
		if err != nil {
			return err
		}
		n, err := s.addCandidates(c.Request().Context(), t, at, list)
		if err != nil {
			return err
		}
		return writeJSON(c, http.StatusCreated, append(strconv.AppendInt([]byte(`{"count":`), int64(n), 10), "}\n"...))
	}
}

// addCandidates adds candidates. If the client sends a token of its own, addCandidates waits up to
// heldCandidates for the description with that token, because a client may send both at once. It
// does not accept the candidates earlier, or a client whose room is gone would not notice.
func (s *Server) addCandidates(ctx context.Context, t signaling.Ticket, at int, list []signaling.Candidate) (int, error) {
	n, err := s.store.AddCandidates(ctx, t, at, list...)
	early := t.Side == signaling.Caller && errors.Is(err, signaling.ErrNoRoom) || errors.Is(err, signaling.ErrWrongToken)
	if !early || len(t.Token) < strongToken {
		return n, err
	}
	defer s.waiting.Add(-1)
	if s.waiting.Add(1) > int64(s.config.MaxWaiting) {
		s.refuse(limitWaiting, netip.Addr{})
		return n, err
	}
	held, cancel := context.WithTimeout(ctx, heldCandidates)
	defer cancel()
	defer context.AfterFunc(s.draining, cancel)()
	reader := signaling.Ticket{Room: t.Room, Side: t.Side.Other()}
	var known signaling.Version
	for held.Err() == nil && (errors.Is(err, signaling.ErrNoRoom) || errors.Is(err, signaling.ErrWrongToken)) {
		_, v, failed := s.store.Description(held, reader, t.Side, known, heldCandidates)
		if failed != nil {
			break
		}
		n, err = s.store.AddCandidates(ctx, t, at, list...)
		if known = v; t.Room != signaling.Lobby {
			break // a named room takes no second offer or answer
		}
	}
	return n, err
}

func (s *Server) getCandidates(of signaling.Side) echo.HandlerFunc {
	return func(c echo.Context) error {
		t, err := ticket(c, of.Other())
		if err != nil {
			return err
		}
		after, err := index(c, "after", 0)
		if err != nil {
			return err
		}
		return s.await(c, documentOf(t, of, signaling.DocCandidates), func(ctx context.Context, wait time.Duration) (func() error, error) {
			list, err := s.store.Candidates(ctx, t, of, after, wait)
			if err != nil {
				return nil, err
			}
			if len(list) == 0 {
				err = signaling.ErrUnchanged
			}
			return func() error { return writeJSON(c, http.StatusOK, signaling.JoinCandidates(list)) }, err
		})
	}
}

func (s *Server) deleteRoom(c echo.Context) error {
	t, err := ticket(c, signaling.Caller)
	if err != nil {
		return err
	}
	if err := s.store.Close(c.Request().Context(), t); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}
