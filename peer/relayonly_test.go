package peer_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"p2pchat/peer"
	"p2pchat/signaling"
	"p2pchat/signaling/memstore"
	"p2pchat/signaling/server"
)

// refusing returns a proxy in front of a server. It passes on that a room does not exist yet, and refuses the ICE servers
// of one that does.
func refusing(web http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/ice-servers") {
			web.ServeHTTP(w, r)
			return
		}
		answer := httptest.NewRecorder()
		if web.ServeHTTP(answer, r); answer.Code == http.StatusOK {
			http.Error(w, "not here", http.StatusForbidden)
			return
		}
		for name, values := range answer.Header() {
			w.Header()[name] = values
		}
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes()) // the client may have gone
	})
}

// A callee that only relays, and waits for a call, does not wait for ever for relays that it is refused.
func TestRelayOnlyIsRefused(t *testing.T) {
	t.Run("a refusal ends the wait", func(t *testing.T) {
		store := memstore.New(memstore.Limits{})
		at := httptest.NewServer(refusing(server.New(store, server.Config{Log: slog.New(slog.DiscardHandler)})))
		t.Cleanup(at.Close)
		config, events := telling()
		config.RelayOnly, config.Discover = true, client(t, at.URL).ICEServers
		callee := answering(t, client(t, at.URL), room, config)
		await[peer.NoCall](t, events)
		calling(t, client(t, at.URL), room, quiet())
		if err := fails(t, callee, signaling.ErrForeign); errors.Is(err, peer.ErrNoRelay) || !strings.Contains(err.Error(), "403") {
			t.Errorf("it is told %v", err)
		}
	})

	t.Run("too many requests are told once, and it goes on to ask", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n, store := newNetwork(t, time.Millisecond), memstore.New(memstore.Limits{})
			relays := relayed(t, n)
			config, events := telling()
			config.RelayOnly = true
			asked := 0
			config.Discover = func(context.Context, signaling.Ticket, time.Duration) ([]signaling.ICEServer, error) {
				switch asked++; asked {
				case 1:
					return nil, signaling.ErrNoRoom
				case 2, 3, 4:
					return nil, signaling.ErrTooMany
				}
				return []signaling.ICEServer{relays}, nil
			}
			callee := n.answers(t, store, room, config)
			_ = pipeOf(t, n.calls(t, store, room, quiet()))
			_ = pipeOf(t, callee)
			told := 0
			for len(events) > 0 {
				if e, ok := (<-events).(peer.Retrying); ok && errors.Is(e.Err, signaling.ErrTooMany) {
					told++
				}
			}
			if told != 1 {
				t.Errorf("it is told %d times", told)
			}
		})
	})

	for name, refusal := range map[string]error{
		"a full server": signaling.ErrServerFull, "a server that stops": signaling.ErrDraining, "a server that cannot be reached": signaling.ErrUnreachable,
	} {
		t.Run(name+" is asked again", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, store := newNetwork(t, time.Millisecond), memstore.New(memstore.Limits{})
				relays := relayed(t, n)
				config := quiet()
				config.RelayOnly = true
				asked := 0
				config.Discover = func(context.Context, signaling.Ticket, time.Duration) ([]signaling.ICEServer, error) {
					switch asked++; asked {
					case 1:
						return nil, signaling.ErrNoRoom
					case 2, 3:
						return nil, refusal
					}
					return []signaling.ICEServer{relays}, nil
				}
				callee := n.answers(t, store, room, config)
				_ = pipeOf(t, n.calls(t, store, room, quiet()))
				_ = pipeOf(t, callee)
			})
		})
	}
}
