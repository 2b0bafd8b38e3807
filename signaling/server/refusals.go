package server

import (
	"context"
	"log/slog"
	"net/netip"
)

// refuse counts a request or a connection of a client that met a limit. The log hears of it
// at the default level: see refused.Log.
func (s *Server) refuse(limit string, client netip.Addr) {
	s.metrics.limits.WithLabelValues(limit).Inc()
	if client.IsValid() {
		s.refused.Add(limit, "last_client", client)
	} else {
		s.refused.Add(limit)
	}
}

// tellRefused writes a line about count requests that met a limit.
func (s *Server) tellRefused(limit string, count int, last []any) {
	said := []any{"limit", limit, "why", explained[limit], "count", count}
	if len(last) == 2 {
		said = append(said, last[0], s.inLog(last[1].(netip.Addr)))
	}
	s.config.Log.Log(context.Background(), slog.LevelWarn, "the server refuses requests", said...)
}

// explained has every limit, and says in the log what a client does.
var explained = map[string]string{
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
	limitClientRooms:       "a client opens more rooms than --max-client-rooms allows",
	limitClientWaiting:     "a client waits in more rooms that nobody has opened than --max-client-waiting allows",
	limitWakes:             "a client's waiting reads are woken for nothing more often than --rate client allows",
	limitOtherSite:         "a web page of another site tries to write: --cors-origin allows it",
	limitOtherHost:         "a browser asks for another name than localhost: --public-url allows it",
	limitKey:               "a client sends a wrong access key: it may be guessing the key",
}
