package server

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"time"
)

// tellAgain is how long the log is silent about a limit once it has told of it.
const tellAgain = time.Minute

// refusals tell the log of requests that met a limit: the first at once, then one line a
// minute, with the count, however many there are.
type refusals struct {
	mu   sync.Mutex // guards what follows
	told map[string]*told
}

// A told limit is what is known of one limit.
type told struct {
	last  time.Time // line in the log
	count int       // since then
}

// refuse counts a request or a connection of a client that met a limit.
func (s *Server) refuse(limit string, client netip.Addr) {
	s.metrics.limits.WithLabelValues(limit).Inc()
	if n := s.refusals.due(limit, time.Now()); n > 0 {
		said := []slog.Attr{slog.String("limit", limit), slog.String("why", explained[limit]), slog.Int("count", n)}
		if client.IsValid() {
			said = append(said, slog.String("last_client", s.inLog(client)))
		}
		s.config.Log.LogAttrs(context.Background(), slog.LevelWarn, "the server refuses requests", said...)
	}
}

// due counts a refusal. It returns how many the log has yet to hear of, or 0 if it is not
// time to tell.
func (r *refusals) due(limit string, now time.Time) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.told == nil {
		r.told = map[string]*told{}
	}
	one := r.told[limit]
	if one == nil {
		one = &told{}
		r.told[limit] = one
	}
	one.count++
	if now.Sub(one.last) < tellAgain {
		return 0
	}
	n := one.count
	one.last, one.count = now, 0
	return n
}

// explained says in the log what each limit is.
var explained = map[string]string{
	limitClient:            "a client sends more requests than --rate client allows",
	limitAll:               "all clients send more requests than --rate all allows",
	limitGuests:            "a client asks for ICE servers too often",
	limitRooms:             "the server holds as many rooms as --max-rooms allows",
	limitWaiting:           "as many reads wait as --max-waiting allows",
	limitBody:              "a body is larger than --max-body allows",
	limitCandidates:        "a side sends more candidates than --max-candidates allows",
	limitConnections:       "as many connections are open as --connections all allows",
	limitClientConnections: "a client opens more connections than --connections client allows",
	limitFiles:             "the system lets the server open no more files: raise its limit (ulimit -n, LimitNOFILE)",
	limitGuesses:           "callers turned down three answers of a client in ten minutes: it may be guessing codes",
	limitClientRooms:       "a client opens more rooms than --max-client-rooms allows",
	limitClientWaiting:     "a client waits in more rooms that nobody has opened than --max-client-waiting allows",
	limitWakes:             "a client's waiting reads are woken for nothing more often than --rate client allows",
	limitOtherSite:         "a web page of another site tries to write: --cors-origin allows it",
	limitOtherHost:         "a browser asks for another name than localhost: --public-url allows it",
}
