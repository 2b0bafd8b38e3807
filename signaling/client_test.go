package signaling_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"p2pchat/signaling"
	"p2pchat/signaling/internal/pipenet"
)

const offerBody = `{"type":"offer","sdp":""}`

// A badServer replies to each request with the next of its steps, and to all later requests with
// the last one. It notes the times of requests.
type badServer struct {
	*pipenet.Listener
	mu    sync.Mutex // guards what follows
	asked []time.Time
}

func bad(t *testing.T, steps ...http.HandlerFunc) *badServer {
	b := &badServer{}
	b.Listener = pipenet.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.mu.Lock()
		b.asked = append(b.asked, time.Now())
		step := steps[min(len(b.asked), len(steps))-1]
		b.mu.Unlock()
		step(w, r)
	}))
	return b
}

func (b *badServer) client(t *testing.T, config signaling.Config) *signaling.Client {
	t.Helper()
	return connected(t, b.Listener, config)
}

// virtually runs a test in virtual time.
func virtually(t *testing.T, sentence string, test func(*testing.T)) {
	t.Helper()
	t.Run(sentence, func(t *testing.T) { synctest.Test(t, test) })
}

func (b *badServer) times() []time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.asked)
}

// says replies with these headers ("Name: value").
func says(status int, kind, body string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		for _, h := range headers {
			name, value, _ := strings.Cut(h, ": ")
			w.Header().Set(name, value)
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}
}

func problem(err error, headers ...string) http.HandlerFunc {
	p, _ := signaling.ProblemOf(err)
	return says(p.Status, "application/problem+json", fmt.Sprintf(`{"type":%q,"detail":%q}`, p.Type, p.Detail), headers...)
}

var (
	good    = says(200, "application/json", offerBody, `ETag: "v1"`)
	brief   = signaling.Config{Patience: 400 * time.Millisecond}
	secret  = signaling.NewTicket("SECRETROOM", signaling.Callee)
	hangsUp = func(_ http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) }
)

func midBody(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Length", "1000")
	good(w, r)
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

// readOffer reads the offer of a room whose name must not be in an error.
func readOffer(t *testing.T, c *signaling.Client, wait time.Duration) error {
	t.Helper()
	_, _, err := c.Description(t.Context(), secret, signaling.Caller, "", wait)
	discreet(t, err)
	return err
}

func discreet(t *testing.T, err error) {
	t.Helper()
	if err != nil && (strings.Contains(err.Error(), secret.Room) || strings.Contains(err.Error(), secret.Token)) {
		t.Errorf("the error has a secret: %v", err)
	}
}

func TestForeignServers(t *testing.T) {
	long := strings.Repeat("x", 17<<20)
	for name, row := range map[string]struct {
		reply http.HandlerFunc
		want  string
	}{
		"HTML where JSON was expected": {says(200, "text/html", "<h1>Welcome</h1>"), `it sent "text/html"`},
		"HTML that finds nothing":      {says(404, "text/html", "<h1>404</h1>"), `it answered "404 Not Found"`},
		"a redirect":                   {says(301, "text/html", "", "Location: https://elsewhere.example/rooms/SECRETROOM/offer"), "it redirects to https://elsewhere.example"},
		"a redirect to itself":         {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/", http.StatusFound) }, "it redirects"},
		"a redirect to nowhere":        {says(302, "text/html", ""), "it redirects"},
		"JSON of another shape":        {says(200, "application/json", `{"ok":true}`, `ETag: "v"`), `the member "type" must be "offer"`},
		"broken JSON":                  {says(200, "application/json", `{"type":`, `ETag: "v"`), "not JSON"},
		"a description without ETag":   {says(200, "application/json", offerBody), "no ETag"},
		"nothing at all":               {says(204, "application/json", ""), "not JSON"},
		"a long reply":                 {says(200, "application/json", long), "longer than 256 KiB"},
		"a problem of another API":     {says(404, "application/problem+json", `{"type":"about:blank","detail":"gone"}`), `it answered "404 Not Found"`},
		"a problem in plain JSON":      {says(404, "application/json", `{"type":"urn:p2pchat:no-offer"}`), `it answered "404 Not Found"`},
	} {
		virtually(t, name, func(t *testing.T) {
			b := bad(t, row.reply)
			err := readOffer(t, b.client(t, brief), signaling.Forever)
			if !errors.Is(err, signaling.ErrForeign) || errors.Is(err, signaling.ErrInvalid) || !strings.Contains(err.Error(), row.want) {
				t.Errorf("got %v, want %q", err, row.want)
			}
			if n := len(b.times()); n != 1 {
				t.Errorf("it was asked %d times", n)
			}
		})
	}
	virtually(t, "a long reply of a p2pchat server is not ErrForeign", func(t *testing.T) {
		b := bad(t, says(200, "application/json", `{"type":"offer","sdp":""}`, `ETag: "1"`), says(200, "application/json", long))
		c := b.client(t, brief)
		if err := readOffer(t, c, 0); err != nil {
			t.Fatal(err)
		}
		if err := readOffer(t, c, 0); !errors.Is(err, signaling.ErrTooLarge) || errors.Is(err, signaling.ErrForeign) || !strings.Contains(err.Error(), "longer than 256 KiB") {
			t.Errorf("got %v", err)
		}
	})
	virtually(t, "replies of another shape to every other request", func(t *testing.T) {
		c := bad(t, says(200, "application/json", `{}`)).client(t, brief)
		_, offered := c.Offer(t.Context(), secret, signaling.Description(offerBody))
		_, added := c.AddCandidates(t.Context(), secret, 0, signaling.Candidate("{}"))
		_, listed := c.Candidates(t.Context(), secret, signaling.Caller, 0, 0)
		_, relays := c.ICEServers(t.Context(), signaling.Ticket{}, 0)
		for what, err := range map[string]error{"offer": offered, "add": added, "relays": relays} {
			if !errors.Is(err, signaling.ErrForeign) {
				t.Errorf("%s: %v", what, err)
			}
			discreet(t, err)
		}
		if listed != nil { // one object is a list of one
			t.Error(listed)
		}
	})
	virtually(t, "a problem of p2pchat that is newer than this client", func(t *testing.T) {
		b := bad(t, says(403, "application/problem+json", `{"type":"urn:p2pchat:tomorrow","title":"T","detail":"Come back tomorrow."}`))
		err := readOffer(t, b.client(t, brief), 0)
		if err == nil || errors.Is(err, signaling.ErrForeign) || err.Error() != "Come back tomorrow." {
			t.Error(err)
		}
	})
	virtually(t, "a long problem is cut short", func(t *testing.T) {
		for what, member := range map[string]string{"title": `"title"`, "detail": `"detail"`} {
			b := bad(t, says(404, "application/problem+json", `{"type":"urn:p2pchat:no-offer",`+member+`:"a`+strings.Repeat("é", 100<<10)+`"}`))
			err := readOffer(t, b.client(t, brief), 0)
			if want := "a" + strings.Repeat("é", 149); !errors.Is(err, signaling.ErrNoOffer) || err.Error() != want {
				t.Errorf("the %s has %d bytes: %.400q", what, len(err.Error()), err)
			}
		}
	})
}

// An empty list may be spelled in several ways. A server that sends one at once is not asked without a pause, and null is no list.
func TestEmptyLists(t *testing.T) {
	_, taker := signaling.NewBox("put", "take")
	reads := map[string]func(ctx context.Context, c *signaling.Client, wait time.Duration) (int, error){
		"blocks": func(ctx context.Context, c *signaling.Client, wait time.Duration) (int, error) {
			list, err := c.Blocks(ctx, taker, 0, wait)
			return len(list), err
		},
		"offers": func(ctx context.Context, c *signaling.Client, wait time.Duration) (int, error) {
			list, err := c.Offers(ctx, []signaling.WantedOffer{{Room: strings.Repeat("r", 26)}}, wait)
			return len(list), err
		},
		"candidates": func(ctx context.Context, c *signaling.Client, wait time.Duration) (int, error) {
			list, err := c.Candidates(ctx, secret, signaling.Caller, 0, wait)
			return len(list), err
		},
	}
	for what, read := range reads {
		for _, empty := range []string{"[]", " [ ]\n", "[" + strings.Repeat(" ", 1000) + "]"} {
			virtually(t, fmt.Sprintf("%s: %.4q", what, empty), func(t *testing.T) {
				b := bad(t, says(200, "application/json", empty))
				started := time.Now()
				n, err := read(t.Context(), b.client(t, signaling.Config{}), 5*time.Second)
				if took := time.Since(started); n != 0 || err != nil || took < 5*time.Second || len(b.times()) > 6 {
					t.Errorf("%d, %v after %d requests in %v", n, err, len(b.times()), took)
				}
			})
		}
		virtually(t, what+": null", func(t *testing.T) {
			b := bad(t, says(200, "application/json", "null"))
			if _, err := read(t.Context(), b.client(t, signaling.Config{}), 5*time.Second); !errors.Is(err, signaling.ErrForeign) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestTransientFailures(t *testing.T) {
	for name, fail := range map[string]http.HandlerFunc{
		"500":                        says(500, "text/plain", "oops"),
		"502 of a proxy":             says(502, "text/html", "<h1>Bad gateway</h1>"),
		"429 of a proxy":             says(429, "text/html", "slow down"),
		"draining":                   problem(signaling.ErrDraining),
		"hanging up mid-body":        midBody,
		"hanging up before a header": hangsUp,
	} {
		virtually(t, name+" twice is retried", func(t *testing.T) {
			b := bad(t, fail, fail, good)
			if err := readOffer(t, b.client(t, signaling.Config{}), 0); err != nil {
				t.Error(err)
			}
			if n := len(b.times()); n < 3 {
				t.Errorf("it was asked %d times", n)
			}
		})
		virtually(t, name+" for ever is given up after Patience", func(t *testing.T) {
			if name == "draining" {
				t.Skip("a server that drains is a p2pchat server: the client retries until the context ends")
			}
			b := bad(t, fail)
			started := time.Now()
			err := readOffer(t, b.client(t, brief), signaling.Forever)
			if !errors.Is(err, signaling.ErrUnreachable) || errors.Is(err, signaling.ErrForeign) {
				t.Error(err)
			}
			if n, took := len(b.times()), time.Since(started); n < 2 || n > 12 || took > 5*time.Second {
				t.Errorf("it was asked %d times in %v", n, took)
			}
		})
	}
	t.Run("a refused connection is given up after Patience", func(t *testing.T) {
		t.Parallel()
		gone := httptest.NewServer(nil)
		gone.Close()
		if err := readOffer(t, client(t, gone.URL, brief), signaling.Forever); !errors.Is(err, signaling.ErrUnreachable) {
			t.Error(err)
		}
	})
	virtually(t, "a server that never answers ends with the context", func(t *testing.T) {
		b := bad(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		_, _, err := b.client(t, brief).Description(ctx, secret, signaling.Caller, "", signaling.Forever)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		discreet(t, err)
	})
	virtually(t, "a server that has replied once is tried until the context ends", func(t *testing.T) {
		b := bad(t, good, says(500, "text/plain", "oops"))
		c := b.client(t, signaling.Config{Patience: time.Millisecond})
		if err := readOffer(t, c, 0); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 700*time.Millisecond)
		defer cancel()
		_, _, err := c.Description(ctx, secret, signaling.Caller, "", signaling.Forever)
		if n := len(b.times()); !errors.Is(err, context.DeadlineExceeded) || n < 3 {
			t.Errorf("after %d requests: %v", n, err)
		}
	})
	virtually(t, "a full server is given up after Patience though it has replied", func(t *testing.T) {
		b := bad(t, problem(signaling.ErrServerFull))
		_, err := b.client(t, brief).Offer(t.Context(), secret, signaling.Description(offerBody))
		if n := len(b.times()); !errors.Is(err, signaling.ErrServerFull) || n < 2 {
			t.Errorf("after %d requests: %v", n, err)
		}
	})
}
