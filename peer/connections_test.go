package peer_test

import (
	"fmt"
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
	ended       bool
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
	if !d.ended {
		d.connections[from] = append(d.connections[from], request)
	}
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

// end leaves out the requests that follow.
func (d *door) end() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ended = true
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
			var caller, callee string
			for range 3 { // net/http may open one more if a request comes before it has put away a connection whose reply was read
				near, far := meets(t, c.begins)
				if caller, callee = near.opensTooMany("POST offer-candidates"), far.opensTooMany(c.urgent); caller == "" && callee == "" {
					return
				}
			}
			t.Error("caller: ", caller, "; callee: ", callee)
		})
	}
}

// meets has two sides meet and talk, and returns the doors of the caller and the callee.
func meets(t *testing.T, begins []string) (near, far *door) {
	t.Helper()
	web := server.New(memstore.New(memstore.Limits{}), server.Config{Log: slog.New(slog.DiscardHandler)})
	defer web.Drain()
	near, first := newDoor(t, web)
	config, events := telling()
	config.Discover = first.ICEServers
	caller := calling(t, first, right, config)
	await[peer.Waiting](t, events)
	for _, read := range []string{"GET answer", "GET answer-candidates"} {
		<-near.saw(read)
	}
	far, second := newDoor(t, web, begins...)
	config = quiet()
	if begins != nil {
		config.Discover = second.ICEServers
	}
	callee := answering(t, second, right, config)
	talk(t, pipeOf(t, caller), pipeOf(t, callee))
	near.end() // before one side leaves, at which the other one looks for it at the server
	far.end()
	caller.Close()
	callee.Close()
	return near, far
}

// opensTooMany returns what is wrong if more than three connections were opened, or one for the urgent request.
func (d *door) opensTooMany(urgent string) string {
	opened := d.opened()
	if len(opened) > 3 || slices.ContainsFunc(opened, func(requests []string) bool { return requests[0] == urgent }) {
		return fmt.Sprintf("%d connections: %q", len(opened), opened)
	}
	return ""
}
