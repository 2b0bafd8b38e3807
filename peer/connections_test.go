package peer_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"p2pchat/peer"
	"p2pchat/signaling"
	"p2pchat/signaling/memstore"
	"p2pchat/signaling/server"
)

// A door is one side's way to the server: it knows over which TCP connection each request came.
type door struct {
	together []string // requests that are answered when all of them are there

	mu          sync.Mutex               // guards what follows
	connections map[string][]string      // requests in their order, by the client's address and port
	seen        map[string]chan struct{} // closed at the first such request
}

// newDoor returns a door to the server, and the Client that goes through it.
func newDoor(t *testing.T, web http.Handler, together ...string) (*door, *signaling.Client) {
	t.Helper()
	d := &door{together: together, connections: map[string][]string{}, seen: map[string]chan struct{}{}}
	at := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		request := r.Method + " " + r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
		d.note(r.RemoteAddr, request)
		if slices.Contains(d.together, request) {
			for _, each := range d.together {
				select {
				case <-d.saw(each):
				case <-r.Context().Done():
				}
			}
		}
		web.ServeHTTP(w, r)
	}))
	t.Cleanup(at.Close)
	return d, client(t, at.URL)
}

func (d *door) note(from, request string) {
	seen := d.saw(request)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.connections[from] = append(d.connections[from], request)
	select {
	case <-seen:
	default:
		close(seen)
	}
}

func (d *door) saw(request string) chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.seen[request] == nil {
		d.seen[request] = make(chan struct{})
	}
	return d.seen[request]
}

// opened returns the requests of each connection.
func (d *door) opened() (all [][]string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, requests := range d.connections {
		all = append(all, slices.Clone(requests))
	}
	return all
}

// A TCP handshake costs a round trip. So the answer, and what the caller says to it, go over connections that are open: each
// side begins with two requests at a time. A callee with ICE servers of its own begins with one, and its answer may open
// a connection (docs/decisions/meeting.md).
func TestConnectionsOfACall(t *testing.T) {
	for _, c := range []struct {
		name   string
		begins []string // the callee's requests at the same time
		urgent string
	}{
		{"a callee that asks for ICE servers", []string{"GET offer", "GET ice-servers"}, "POST answer"},
		{"a callee that has its own", nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			web := server.New(memstore.New(memstore.Limits{}), server.Config{Log: slog.New(slog.DiscardHandler)})
			t.Cleanup(web.Drain)
			near, first := newDoor(t, web)
			config, events := telling()
			config.Discover = first.ICEServers
			caller := calling(t, first, right, config)
			await[peer.Waiting](t, events)
			for _, read := range []string{"GET answer", "GET answer-candidates"} {
				<-near.saw(read)
			}
			far, second := newDoor(t, web, c.begins...)
			config = quiet()
			if c.begins != nil {
				config.Discover = second.ICEServers
			}
			callee := answering(t, second, right, config)
			talk(t, pipeOf(t, caller), pipeOf(t, callee))
			caller.Close()
			callee.Close()
			near.check(t, 2, "POST offer-candidates")
			far.check(t, 3, c.urgent)
		})
	}
}

// check fails the test if more than most connections were opened, or one for the urgent request. A connection that begins with the
// closing DELETE is not counted: Close ends the reads that wait, and with HTTP/1.1 their connections, so that the DELETE needs
// another one if the last POST has not been answered yet. The call is over, and no person waits for that handshake.
func (d *door) check(t *testing.T, most int, urgent string) {
	t.Helper()
	opened := d.opened()
	t.Logf("%d connections: %q", len(opened), opened)
	opened = slices.DeleteFunc(opened, func(requests []string) bool { return strings.HasPrefix(requests[0], http.MethodDelete+" ") })
	if len(opened) > most {
		t.Errorf("it opens %d connections, want %d", len(opened), most)
	}
	for _, requests := range opened {
		if requests[0] == urgent {
			t.Errorf("%s waits for a TCP handshake", urgent)
		}
	}
}
