package peer_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"p2pchat/peer"
	"p2pchat/signaling"
	"p2pchat/signaling/memstore"
	"p2pchat/signaling/server"
)

// A counting Store counts the requests that a Client would send.
type counting struct {
	signaling.Store

	mu       sync.Mutex // guards what follows
	requests map[string]int
}

func newCounting(at signaling.Store) *counting {
	return &counting{Store: at, requests: map[string]int{}}
}

func (c *counting) count(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests[what]++
}

func (c *counting) counted() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.requests)
}

func (c *counting) Offer(ctx context.Context, t signaling.Ticket, d signaling.Description) (signaling.Version, error) {
	c.count("POST offer")
	return c.Store.Offer(ctx, t, d)
}

func (c *counting) Answer(ctx context.Context, t signaling.Ticket, to signaling.Version, d signaling.Description) (signaling.Version, error) {
	c.count("POST answer")
	return c.Store.Answer(ctx, t, to, d)
}

func (c *counting) Description(ctx context.Context, t signaling.Ticket, of signaling.Side, known signaling.Version, wait time.Duration) (signaling.Description, signaling.Version, error) {
	c.count("GET " + of.String())
	return c.Store.Description(ctx, t, of, known, wait)
}

func (c *counting) AddCandidates(ctx context.Context, t signaling.Ticket, at int, list ...signaling.Candidate) (int, error) {
	c.count("POST " + t.Side.String() + "-candidates")
	return c.Store.AddCandidates(ctx, t, at, list...)
}

func (c *counting) Candidates(ctx context.Context, t signaling.Ticket, of signaling.Side, after int, wait time.Duration) ([]signaling.Candidate, error) {
	c.count("GET " + of.String() + "-candidates")
	return c.Store.Candidates(ctx, t, of, after, wait)
}

func (c *counting) Close(ctx context.Context, t signaling.Ticket) error {
	c.count("DELETE")
	return c.Store.Close(ctx, t)
}

// What a call costs whose server is a round trip away from both sides, and who are one
// from each other: a verified one costs not a request more than one without a secret.
func TestWhatACallCosts(t *testing.T) {
	const rtt = 100 * time.Millisecond
	type cost struct {
		caller, callee time.Duration // from the callee's start to an open pipe
		requests       string
	}
	costs := map[string]cost{}
	for name, c := range map[string]struct {
		code   string
		config peer.Config
		wrap   func(signaling.Store) signaling.Store
	}{
		"plain":      {open, quiet(), func(s signaling.Store) signaling.Store { return stripped{s} }},
		"unverified": {open, quiet(), func(s signaling.Store) signaling.Store { return s }},
		"verified":   {right, quiet(), func(s signaling.Store) signaling.Store { return s }},
		"nominated":  {right, quiet().Patient(), func(s signaling.Store) signaling.Store { return s }},
	} {
		synctest.Test(t, func(t *testing.T) {
			n, requests := newNetwork(t, rtt/2), newCounting(memstore.New(memstore.Limits{}))
			store := c.wrap(distant{requests, rtt})
			caller := n.calls(t, store, c.code, c.config)
			synctest.Wait()
			time.Sleep(time.Minute) // its reads wait at the server
			begun := time.Now()
			callee := n.answers(t, store, c.code, c.config)
			from := pipeOf(t, caller)
			forCaller := time.Since(begun)
			to := pipeOf(t, callee)
			forCallee := time.Since(begun)
			talk(t, from, to)
			time.Sleep(time.Second) // the room is given back
			costs[name] = cost{forCaller, forCallee, fmt.Sprint(requests.counted())}
		})
		t.Logf("%-10s  %.2f round trips for the caller, %.2f for the callee; %s", name,
			float64(costs[name].caller)/float64(rtt), float64(costs[name].callee)/float64(rtt), costs[name].requests)
	}
	if costs["verified"] != costs["unverified"] {
		t.Error("a verified call costs another amount than one without a secret")
	}
	for name, most := range map[string]cost{"verified": {4 * rtt, 9 * rtt / 2, ""}, "nominated": {5 * rtt, 11 * rtt / 2, ""}} {
		const gathering = 10 * time.Millisecond // and what else takes no round trip
		if took := costs[name]; took.caller > most.caller+gathering || took.callee > most.callee+gathering {
			t.Errorf("a %s call takes %v and %v, on links of %v", name, took.caller, took.callee, rtt)
		}
	}
	if costs["verified"].requests != costs["plain"].requests {
		t.Error("a verified call costs other requests than one of plain programs")
	}
}

// Where the server is near, each side reads what it needs of the other's, and has no request to give up once they are connected.
func TestWhatACallReadsNearby(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const rtt = time.Millisecond
		n, requests := newNetwork(t, rtt/2), newCounting(memstore.New(memstore.Limits{}))
		store := distant{requests, rtt}
		caller := n.calls(t, store, right, quiet())
		synctest.Wait()
		time.Sleep(time.Minute)
		callee := n.answers(t, store, right, quiet())
		pipeOf(t, caller)
		pipeOf(t, callee)
		for what, count := range requests.counted() {
			if count > 1 {
				t.Errorf("%d times %s before the two are connected", count, what)
			}
		}
	})
}

// A callee that has all addresses of its machine answers at once, though a STUN server is silent.
func TestAnswerDoesNotWaitForServers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const rtt = 100 * time.Millisecond
		n, config := newNetwork(t, rtt/2), quiet()
		config.ICEServers = []signaling.ICEServer{{URLs: []string{"stun:10.0.0.9:3478"}}}
		store := distant{memstore.New(memstore.Limits{}), rtt}
		caller := n.calls(t, store, right, quiet())
		synctest.Wait()
		time.Sleep(time.Minute) // its reads wait at the server
		begun := time.Now()
		n.answers(t, store, right, config)
		pipeOf(t, caller)
		if took := time.Since(begun); took > 4*rtt {
			t.Errorf("the caller is connected after %v", took)
		}
	})
}

// A capture is a proxy that keeps all that passes.
type capture struct {
	mu     sync.Mutex // guards what follows
	bodies []string
}

func (c *capture) keep(what string, body []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bodies = append(c.bodies, what+" "+string(body))
}

func (c *capture) wrap(to http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // as far as it came
		c.keep(r.Method+" "+r.URL.String(), body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		to.ServeHTTP(&copying{ResponseWriter: w, to: c}, r)
	})
}

type copying struct {
	http.ResponseWriter
	to *capture
}

func (c *copying) Write(b []byte) (int, error) {
	c.to.keep("reply", b)
	return c.ResponseWriter.Write(b)
}

var (
	ipv4 = regexp.MustCompile(`\b\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}\b`)
	ipv6 = regexp.MustCompile(`(?i)\b(?:[0-9a-f]{1,4}:){2,7}:?[0-9a-f]{1,4}\b|::`)
)

// The server that carries a verified call learns of it what is in the requests.
func TestWhatTheServerSees(t *testing.T) {
	tap := &capture{}
	web := server.New(memstore.New(memstore.Limits{}), server.Config{Log: slog.New(slog.DiscardHandler)})
	at := httptest.NewServer(tap.wrap(web))
	t.Cleanup(at.Close)
	t.Cleanup(web.Drain)
	caller, callee := calling(t, client(t, at.URL), right, quiet()), answering(t, client(t, at.URL), right, quiet())
	from, to := pipeOf(t, caller), pipeOf(t, callee)
	converse(t, from, to)
	caller.Close()
	callee.Close()
	tap.mu.Lock()
	defer tap.mu.Unlock()
	sealed := 0
	for _, body := range tap.bodies {
		sealed += strings.Count(body, `{"sealed":"`)
		for _, address := range ipv4.FindAllString(body, -1) {
			if address != "0.0.0.0" { // what SDP has to say where there is no address yet
				t.Errorf("it sees the address %s in %s", address, body)
			}
		}
		for _, address := range ipv6.FindAllString(fingerprints.ReplaceAllString(body, ""), -1) {
			if net.ParseIP(address) != nil {
				t.Errorf("it sees the address %s in %s", address, body)
			}
		}
		for _, secret := range []string{"falcon", "zebra", "candidate:", "typ host", callerSays, calleeSays, "127.0.0.1"} {
			if strings.Contains(body, secret) {
				t.Errorf("it sees %q in %s", secret, body)
			}
		}
		for _, words := range [][]string{from.SafetyWords, {from.Rendezvous.Room, from.Rendezvous.Secret}} {
			if strings.Contains(body, strings.Join(words, " ")) || strings.Contains(body, words[0]) && len(words) == 2 {
				t.Errorf("it sees %q in %s", words, body)
			}
		}
	}
	if sealed < 2*2 {
		t.Errorf("%d sealed candidates passed", sealed)
	}
}

var fingerprints = regexp.MustCompile(`a=fingerprint:sha-256 [0-9A-F:]+`)
