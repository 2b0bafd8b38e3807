package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"p2pchat/signaling"
)

func (s *Server) postOffer(c echo.Context) error {
	return s.describe(c, signaling.Caller, http.StatusCreated, func(ctx context.Context, t signaling.Ticket, d signaling.Description) (signaling.Version, error) {
		return s.store.Offer(ctx, t, d)
	})
}

func (s *Server) postAnswer(c echo.Context) error {
	return s.describe(c, signaling.Callee, http.StatusCreated, func(ctx context.Context, t signaling.Ticket, d signaling.Description) (signaling.Version, error) {
		sent := c.Request().Header.Values("If-Match")
		expected := tags(sent)
		switch {
		case len(sent) == 0 || slices.Contains(expected, "*"):
			return s.store.Answer(ctx, t, "", d)
		case len(expected) == 0:
			expected = []signaling.Version{`""`} // what names no offer fits none
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

// describe writes a description, and answers with the token that owns it: that of the request,
// or a new one.
func (s *Server) describe(c echo.Context, side signaling.Side, status int, write func(context.Context, signaling.Ticket, signaling.Description) (signaling.Version, error)) error {
	t, err := ticket(c, side)
	if err != nil {
		return err
	}
	if t.Token == "" {
		t = signaling.NewTicket(t.Room, side)
	}
	body, err := s.read(c)
	if err != nil {
		return err
	}
	t.From = s.from(c, side)
	v, err := write(c.Request().Context(), t, body)
	if err != nil {
		return err
	}
	reply := map[string]string{"token": t.Token}
	h := c.Response().Header()
	h.Set("ETag", tag(v))
	if side == signaling.Caller {
		h.Set("Location", "/rooms/"+url.PathEscape(t.Room)+"/offer")
		reply["room"] = t.Room
	}
	return c.JSON(status, reply)
}

func (s *Server) putOffer(c echo.Context) error {
	t, err := ticket(c, signaling.Caller)
	if err != nil {
		return err
	}
	body, err := s.read(c)
	if err != nil {
		return err
	}
	t.From = s.from(c, signaling.Caller)
	v, err := s.store.Reoffer(c.Request().Context(), t, body)
	if err != nil {
		return err
	}
	c.Response().Header().Set("ETag", tag(v))
	return c.JSON(http.StatusOK, map[string]string{"room": t.Room})
}

func (s *Server) getDescription(of signaling.Side) echo.HandlerFunc {
	return func(c echo.Context) error {
		t, err := ticket(c, of.Other())
		if err != nil {
			return err
		}
		had := tags(c.Request().Header.Values("If-None-Match"))
		return s.await(c, watched{t, of, signaling.DocDescription}, func(ctx context.Context, wait time.Duration) (func() error, error) {
			var known signaling.Version
			if len(had) > 0 {
				_, now, err := s.store.Description(ctx, t, of, "", 0)
				if err == nil && (slices.Contains(had, now) || slices.Contains(had, "*")) {
					known = now
				}
			}
			d, v, err := s.store.Description(ctx, t, of, known, wait)
			if errors.Is(err, signaling.ErrUnchanged) {
				c.Response().Header().Set("ETag", tag(known))
			}
			if err != nil {
				return nil, err
			}
			return func() error {
				c.Response().Header().Set("ETag", tag(v))
				return c.JSONBlob(http.StatusOK, d)
			}, nil
		})
	}
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
		body, err := s.read(c)
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
		return c.JSON(http.StatusCreated, map[string]int{"count": n})
	}
}

// addCandidates adds candidates. If the client brings a token, it waits up to heldCandidates
// for the description with that token, because a client may send both at once. It does not
// accept the candidates earlier, or a client whose room is gone would not be told.
func (s *Server) addCandidates(ctx context.Context, t signaling.Ticket, at int, list []signaling.Candidate) (int, error) {
	n, err := s.store.AddCandidates(ctx, t, at, list...)
	early := t.Side == signaling.Caller && errors.Is(err, signaling.ErrNoRoom) || errors.Is(err, signaling.ErrWrongToken)
	if !early || len(t.Token) < strongToken {
		return n, err
	}
	defer s.parked.Add(-1)
	if s.parked.Add(1) > int64(s.config.MaxWaiting) {
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
		return s.await(c, watched{t, of, signaling.DocCandidates}, func(ctx context.Context, wait time.Duration) (func() error, error) {
			list, err := s.store.Candidates(ctx, t, of, after, wait)
			if err != nil {
				return nil, err
			}
			if len(list) == 0 {
				err = signaling.ErrUnchanged
			}
			return func() error { return c.JSONBlob(http.StatusOK, signaling.JoinCandidates(list)) }, err
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

func (s *Server) getReady(c echo.Context) error {
	if err := s.ready(); err != nil {
		return err
	}
	return c.String(http.StatusOK, "ready\n")
}

// ready returns nil if the server takes new work.
func (s *Server) ready() error {
	if s.draining.Err() != nil {
		return signaling.ErrDraining
	}
	return s.config.Ready()
}

// ticket returns the room of a request, and the token that the request brings.
func ticket(c echo.Context, side signaling.Side) (signaling.Ticket, error) {
	t := signaling.Ticket{Room: signaling.Lobby, Side: side, Token: bearer(c.Request().Header.Get("Authorization"))}
	if slices.Contains(c.ParamNames(), "room") {
		t.Room = c.Param("room")
		if c.Request().URL.RawPath != "" { // then echo has matched the path as it was sent
			t.Room, _ = url.PathUnescape(t.Room) // the name is empty, so invalid, if it cannot be decoded
		}
	}
	return t, signaling.CheckRoom(t.Room)
}

// read reads the body, up to the deadline that headers has set.
func (s *Server) read(c echo.Context) ([]byte, error) {
	body, err := io.ReadAll(c.Request().Body)
	switch {
	case errors.Is(err, echo.ErrStatusRequestEntityTooLarge):
		return nil, signaling.ErrTooLarge
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, fmt.Errorf("%w: the body did not arrive within %v", signaling.ErrInvalid, s.config.SlowClient)
	case err != nil:
		return nil, fmt.Errorf("%w: the body broke off: %w", signaling.ErrInvalid, err)
	}
	// From here on the connection is read only to notice that the client hangs up.
	_ = http.NewResponseController(c.Response().Writer).SetReadDeadline(time.Time{})
	return body, nil
}

func index(c echo.Context, name string, missing int) (int, error) {
	value := c.QueryParam(name)
	if value == "" {
		return missing, nil
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%w: the query's %q must be a whole number from 0 up", signaling.ErrInvalid, name)
	}
	return n, nil
}

// from returns Ticket.From of a request: the client's network, or nothing for a guest with the
// access key, whose answers are not bounded.
func (s *Server) from(c echo.Context, side signaling.Side) string {
	if side == signaling.Callee && s.config.AccessKey != "" && s.hasKey(c) {
		return ""
	}
	if a := c.(*guest).client; a.IsValid() {
		return string(client(a).AsSlice())
	}
	return ""
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
