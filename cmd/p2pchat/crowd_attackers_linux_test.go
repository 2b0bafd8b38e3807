package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"p2pchat/cmd/p2pchat/internal/bench"
	"p2pchat/signaling"
)

// A kind is how some attackers of a crowd attack.
type kind struct {
	name      string
	attackers int
	attack    func(*attacker, context.Context)

	requests atomic.Int64
	mu       sync.Mutex  // guards what follows
	answers  map[int]int // by status; 0 for connections that were closed, or had no answer
}

func (k *kind) count(status int) {
	k.requests.Add(1)
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.answers == nil {
		k.answers = map[int]int{}
	}
	k.answers[status]++
}

// refused is the number of requests that nginx or the server refused, or cut off.
func (k *kind) refused() (n int) {
	for status, count := range k.answers {
		if status == 0 || status >= 400 && status != http.StatusNotFound {
			n += count
		}
	}
	return n
}

func (k *kind) statuses() string { return strings.TrimPrefix(fmt.Sprint(k.answers), "map") }

// crowdKinds returns what a crowd is of.
func crowdKinds() []*kind {
	return []*kind{
		{name: "rooms taken and abandoned", attackers: 60, attack: (*attacker).takesRooms},
		{name: "guesses at codes", attackers: 20, attack: (*attacker).guesses},
		{name: "answers to be turned down", attackers: 10, attack: (*attacker).turnsDown},
		{name: "floods of candidates", attackers: 15, attack: (*attacker).floods},
		{name: "parked reads without end", attackers: 20, attack: (*attacker).parks},
		{name: "huge and malformed documents", attackers: 10, attack: (*attacker).documents},
		{name: "odd headers", attackers: 10, attack: (*attacker).headers},
		{name: "mail put and read", attackers: 15, attack: (*attacker).mails},
		{name: "page fetched", attackers: 10, attack: (*attacker).fetches},
		{name: "listens to 1,000 rooms", attackers: 5, attack: (*attacker).listens},
		{name: "slow heads and bodies", attackers: 8, attack: (*attacker).drips},
		{name: "slow readers", attackers: 5, attack: (*attacker).readsSlowly},
		{name: "silent connections", attackers: 2, attack: (*attacker).isSilent},
		{name: "HTTP/2 rapid resets", attackers: 6, attack: (*attacker).resets},
		{name: "WebSocket upgrades", attackers: 4, attack: (*attacker).upgrades},
	}
}

// addressOf is the address of the i-th attacker of a kind.
func (c *crowd) addressOf(name string, i int) net.IP {
	n := i
	for _, k := range crowdKinds() {
		if k.name == name {
			return net.IPv4(127, 0, 1, byte(1+n)) //nolint:gosec // there are 200
		}
		n += k.attackers
	}
	c.t.Fatalf("there is no kind %q", name)
	return nil
}

// attack starts the attackers. All have stopped when all is done, soon after ctx has ended.
func (c *crowd) attack(ctx context.Context, all *sync.WaitGroup) {
	c.kinds = crowdKinds()
	for _, k := range c.kinds {
		for i := range k.attackers {
			a := &attacker{t: c.t, kind: k, from: c.addressOf(k.name, i), to: c.nginx, number: i}
			client := c.client(a.from, i%2 == 0)
			a.mallory = &mallory{url: "https://" + c.nginx, client: client}
			all.Go(func() {
				defer client.CloseIdleConnections()
				k.attack(a, ctx)
			})
		}
	}
}

// An attacker is one of a crowd. Those with even numbers use HTTP/2.
type attacker struct {
	*mallory
	t      testing.TB
	kind   *kind
	from   net.IP
	to     string // nginx
	number int
}

// does makes a request and counts its answer.
func (a *attacker) does(ctx context.Context, method, path, body string, header ...string) (status int) {
	status = a.asks(ctx, method, path, body, header...)
	if ctx.Err() == nil {
		a.kind.count(status)
	}
	return status
}

// every calls f once in d, or as often as f can be called, until ctx ends. The first time is random, so that the crowd does not act as one.
func every(ctx context.Context, d time.Duration, f func(n int)) {
	next := time.NewTimer(rand.N(d)) //nolint:gosec // a test's
	defer next.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-next.C:
		}
		next.Reset(d)
		f(n)
	}
}

func (a *attacker) token() string {
	return fmt.Sprintf("Authorization: Bearer mallory-mallory-mallory-%s", a.from)
}

// room is the path of an attacker's n-th room.
func (a *attacker) room(n int) string { return fmt.Sprintf("/rooms/x%s_%d", a.from, n) }

// secretOffer and junkAnswer are what p2pchat's own look like to a server.
func secretOffer(n int) string {
	return fmt.Sprintf(`{"type":"offer","sdp":"v=%d","p2pchat":{"v":2}}`, n)
}

const junkAnswer = `{"type":"answer","sdp":"v=0","p2pchat":{"v":2}}`

// takesRooms takes as many rooms as the server allows, and never comes back.
func (a *attacker) takesRooms(ctx context.Context) {
	every(ctx, 200*time.Millisecond, func(n int) {
		a.does(ctx, "POST", a.room(n)+"/offer", bench.Script()[0].Body, a.token())
	})
}

// guesses waits in rooms that may be those of people, and answers what comes with junk.
func (a *attacker) guesses(ctx context.Context) {
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			every(ctx, 500*time.Millisecond, func(int) {
				room := fmt.Sprintf("/rooms/%d", 100+rand.IntN(1e6)) //nolint:gosec // a test's
				if a.does(ctx, "GET", room+"/offer", "", "Prefer: wait=10") == http.StatusOK {
					a.does(ctx, "POST", room+"/answer", junkAnswer)
				}
			})
		})
	}
	all.Wait()
}

// turnsDown answers its own rooms, and turns the answers down.
func (a *attacker) turnsDown(ctx context.Context) {
	every(ctx, time.Second, func(n int) {
		room := a.room(n)
		a.does(ctx, "POST", room+"/offer", secretOffer(n), a.token())
		a.does(ctx, "POST", room+"/answer", junkAnswer)
		a.does(ctx, "PUT", room+"/offer", secretOffer(n+1), a.token())
		a.does(ctx, "DELETE", room, "", a.token())
	})
}

// floods adds candidates to a room, as many as fit, and then others.
func (a *attacker) floods(ctx context.Context) {
	room, pace := a.room(0), 300*time.Millisecond
	if a.number < 3 {
		pace = 8 * time.Millisecond // more than --rate allows
	}
	many := "[" + strings.TrimSuffix(strings.Repeat(`{"candidate":"`+strings.Repeat("c", 143)+`"},`, 100), ",") + "]"
	every(ctx, pace, func(n int) {
		if n%50 == 0 {
			a.does(ctx, "POST", room+"/offer", secretOffer(n), a.token())
			a.does(ctx, "PUT", room+"/offer", secretOffer(n+1), a.token())
		}
		a.does(ctx, "POST", room+"/offer-candidates", many, a.token())
	})
}

// parks has reads wait in its own room.
func (a *attacker) parks(ctx context.Context) {
	a.does(ctx, "POST", a.room(0)+"/offer", bench.Script()[0].Body, a.token())
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			every(ctx, time.Second, func(int) {
				a.does(ctx, "GET", a.room(0)+"/answer", "", a.token(), "Prefer: wait=60")
			})
		})
	}
	all.Wait()
}

// documents sends what is none, or too large.
func (a *attacker) documents(ctx context.Context) {
	bodies := []string{
		strings.Repeat("x", 1<<20), `{"type":"offer","sdp":"` + strings.Repeat("v", 63<<10) + `"}`, strings.Repeat("[", 60<<10), `{"type":"offer"`,
		`{"type":"offer","sdp":1}`, "null", "", "\x00\xff", `{"type":"answer","sdp":"v=0"}`, `[{"candidate":{}},{"candidate":null}]`, `{"a":` + strings.Repeat(`{"a":`, 10_000),
	}
	paths := []string{"/offer", "/answer", "/offer-candidates", "/answer-candidate", "/listen", "/mail/x", "/rooms/%2e%2e/offer", "/rooms/" + strings.Repeat("r", 3000) + "/offer"}
	every(ctx, 300*time.Millisecond, func(n int) {
		path := paths[n%len(paths)]
		if n%len(paths) < 4 {
			path = a.room(0) + path
		}
		a.does(ctx, []string{"POST", "PUT", "PATCH", "DELETE"}[n/3%4], path, bodies[n%len(bodies)], a.token())
	})
}

// headers sends headers that no client of ours sends. A request that a proxy and the server could read as two is among them.
func (a *attacker) headers(ctx context.Context) {
	every(ctx, 200*time.Millisecond, func(n int) {
		a.does(ctx, "GET", "/rooms/417/offer", "", []string{
			"X-Forwarded-For: 127.0.0.1", "X-Forwarded-For: " + strings.Repeat("127.0.0.1, ", 300) + "192.0.2.1", "X: " + strings.Repeat("x", 3500), "X: " + strings.Repeat("x", 40<<10),
			"Prefer: wait=-1, wait=99999999999999999999", "Authorization: Bearer " + strings.Repeat("t", 3000), "If-None-Match: " + strings.Repeat(`"x",`, 700), "Origin: https://elsewhere.example",
			"Accept-Encoding: gzip;q=x, *;q=0", "Range: bytes=0-0,-1", "X-Request-Id: " + strings.Repeat("%n", 100),
		}[n%11])
		if n%5 == 0 {
			a.raw(ctx, "POST /rooms/417/offer HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
		}
	})
}

// mails fills mailboxes, and reads others.
func (a *attacker) mails(ctx context.Context) {
	every(ctx, 200*time.Millisecond, func(n int) {
		putter, taker := signaling.NewBox(fmt.Sprint(a.kind.name, a.number, "put", n/16), fmt.Sprint(a.kind.name, a.number, "take", n/16))
		body, _ := json.Marshal(signaling.Block{Number: uint64(n + 1), Bytes: make([]byte, 16<<10)}) //nolint:gosec // n is no negative number
		a.does(ctx, "POST", "/mail/"+putter.Name, string(body), "Authorization: Bearer "+putter.Credential())
		switch n % 16 {
		case 7:
			a.does(ctx, "GET", "/mail/"+taker.Name, "", "Authorization: Bearer "+taker.Credential())
		case 11:
			a.does(ctx, "GET", "/mail/"+taker.Name, "", "Authorization: Bearer "+putter.Credential())
		}
	})
}

// fetches loads the page.
func (a *attacker) fetches(ctx context.Context) {
	every(ctx, 200*time.Millisecond, func(n int) {
		a.does(ctx, "GET", []string{"/", "/openapi.yaml", largestAsset(a.t), "/assets/..%2f..%2fetc/passwd", "/ice-servers"}[n%5], "")
	})
}

// largestAsset is the path of the page's largest file.
func largestAsset(t testing.TB) string {
	entries, err := os.ReadDir("../../signaling/web/dist/assets")
	if err != nil {
		t.Error(err)
	}
	name, most := "none", int64(0)
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.Size() > most {
			name, most = e.Name(), info.Size()
		}
	}
	return "/assets/" + name
}

// listens waits for offers in as many rooms as one request may name.
func (a *attacker) listens(ctx context.Context) {
	names := map[string]string{}
	for n := range 1000 {
		names[fmt.Sprintf("mallory_mallory_mallory_%d", n)] = ""
	}
	body, _ := json.Marshal(map[string]any{"rooms": names})
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			every(ctx, time.Second, func(int) { a.does(ctx, "POST", "/listen", string(body), "Prefer: wait=60") })
		})
	}
	all.Wait()
}
