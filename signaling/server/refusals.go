package server

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"

	"p2pchat/signaling"
)

// Limits, as the label limit of p2pchat_limit_hits_total and the log name them.
const (
	limitClient, limitAll, limitGuests = "client_rate", "all_rate", "guest_rate"
	limitRooms, limitWaiting           = "rooms", "waiting"
	limitBody, limitCandidates         = "body", "candidates"
	limitConnections                   = "connections"
	limitClientConnections             = "client_connections"
	limitFiles                         = "open_files"
	limitGuesses, limitClientRooms     = "client_answers", "client_rooms"
	limitClientWaiting, limitWakes     = "client_waiting", "client_wakes"
	limitOtherSite, limitOtherHost     = "other_site", "other_host"
	limitKey                           = "access_key"
	limitMail, limitBox                = "mail", "mailbox"
	limitClientMail                    = "client_mail"
)

// limits has every limit, and what the log says that a client does.
var limits = map[string]string{
	limitClient:            "a client sends more requests than --rate client allows",
	limitAll:               "all clients together send more requests than --rate all allows",
	limitGuests:            "a client asks for the ICE servers of a room too often",
	limitRooms:             "the server holds as many rooms as --max-rooms allows",
	limitWaiting:           "as many requests wait as --max-waiting allows",
	limitBody:              "a client sends a body that is larger than --max-body allows",
	limitCandidates:        "a client sends more candidates than --max-candidates allows",
	limitConnections:       "as many connections are open as --connections all allows",
	limitClientConnections: "a client opens more connections than --connections client allows",
	limitFiles:             "the system lets the server open no more files: raise its limit (ulimit -n, LimitNOFILE)",
	limitGuesses:           "callers turned down three answers of a client in ten minutes, or have not judged ten of them: it may be guessing codes",
	limitClientRooms:       "a client opens more rooms than --max-client-rooms allows, which is less the more rooms others have open",
	limitClientWaiting:     "a client waits in more rooms that no one has opened than --max-client-waiting allows, or has more requests wait than its share of --max-waiting, which is less the more of others wait",
	limitWakes:             "a client's waiting reads are woken for nothing more often than --rate client allows",
	limitOtherSite:         "a web page of another site tries to write: --cors-origin allows it; if it is this server's own page behind a proxy that changes the Host, --public-url does",
	limitOtherHost:         "a browser asks for another name than localhost: --public-url allows it",
	limitMail:              "the mailboxes hold as much as --mail-quota all allows",
	limitBox:               "a client puts more into a mailbox than --mail-quota blocks and box allow",
	limitClientMail:        "a client puts more into mailboxes than --mail-quota client allows",
	limitKey:               "a client sends a wrong access key: it may be guessing the key",
}

// limitOf returns the limit of the store, of the body or of web pages that an error stands for,
// or nothing.
func limitOf(err error) string {
	switch {
	case errors.Is(err, errWaiting):
		return limitWaiting
	case errors.Is(err, signaling.ErrServerFull):
		return limitRooms
	case errors.Is(err, signaling.ErrListFull):
		return limitCandidates
	case errors.Is(err, signaling.ErrTooLarge):
		return limitBody
	case errors.Is(err, signaling.ErrOtherSite), errors.Is(err, signaling.ErrNotJSON):
		return limitOtherSite
	case errors.Is(err, signaling.ErrGuesses), errors.As(err, new(*signaling.RetryError)) && errors.Is(err, signaling.ErrTooMany):
		return limitGuesses
	case errors.Is(err, signaling.ErrTooManyRooms):
		return limitClientRooms
	case errors.Is(err, signaling.ErrMailFull):
		return limitMail
	case errors.Is(err, signaling.ErrBoxFull):
		return limitBox
	case errors.Is(err, signaling.ErrClientMail):
		return limitClientMail
	case errors.Is(err, signaling.ErrOtherHost):
		return limitOtherHost
	}
	return ""
}

// refuse counts a request or a connection of a client that met a limit. It also tells the log, at
// the default level: see refused.Log.
func (s *Server) refuse(limit string, client netip.Addr) {
	s.metrics.limits[limit].Inc()
	if client.IsValid() {
		s.refused.Add(limit, "last_client", client)
	} else {
		s.refused.Add(limit)
	}
}

// logRefusals writes a line about count requests that met a limit; last describes the last one.
func (s *Server) logRefusals(limit string, count int, last []any) {
	attributes := []any{"limit", limit, "why", limits[limit], "count", count}
	if len(last) == 2 {
		attributes = append(attributes, last[0], s.loggedAddress(last[1].(netip.Addr)))
	}
	s.config.Log.Log(context.Background(), slog.LevelWarn, "the server refuses requests", attributes...)
}
