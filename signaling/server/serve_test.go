package server

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"p2pchat/signaling"
	"p2pchat/signaling/memstore"
)

// serve runs Serve on loopback until stop, which returns what Serve returned.
func serve(t testing.TB, s *Server, grace time.Duration) (address string, stop func() error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() {
		served <- s.Serve(ctx, l, grace)
		close(served)
	}()
	stop = func() error {
		cancel()
		select {
		case err := <-served:
			return err
		case <-time.After(patience):
			t.Fatal("Serve does not return")
			return nil
		}
	}
	t.Cleanup(func() { _ = stop() })
	return l.Addr().String(), stop
}

func quiet(config Config) *Server {
	config.Log = slog.New(slog.DiscardHandler)
	return New(memstore.New(memstore.Limits{}), config)
}

// A line is a connection on which a test says what no http.Client would.
type line struct {
	t testing.TB
	net.Conn
	in *bufio.Reader
}

func dial(t testing.TB, address string) *line {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return &line{t: t, Conn: c, in: bufio.NewReader(c)}
}

func (l *line) say(lines ...string) {
	l.t.Helper()
	if _, err := io.WriteString(l, strings.Join(lines, "\r\n")); err != nil {
		l.t.Fatal(err)
	}
}

func (l *line) hear() reply {
	l.t.Helper()
	res, err := http.ReadResponse(l.in, nil)
	if err != nil {
		l.t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		l.t.Fatal(err)
	}
	_ = res.Body.Close()
	return reply{t: l.t, request: "the request", status: res.StatusCode, header: res.Header, body: string(body)}
}

// cutOff wants the server to have closed the connection, with nothing more to say.
func (l *line) cutOff() {
	l.t.Helper()
	rest, err := io.ReadAll(l.in)
	if timeout := net.Error(nil); errors.As(err, &timeout) && timeout.Timeout() {
		l.t.Errorf("the connection is still open")
	}
	if len(rest) > 0 {
		l.t.Errorf("the server says %q", rest)
	}
}

func TestServe(t *testing.T) {
	t.Run("a server that stops answers every parked read at once", func(t *testing.T) {
		s := quiet(Config{})
		address, stop := serve(t, s, patience)
		var parked []*line
		for _, path := range []string{"/offer", "/rooms/blue/answer", "/offer-candidates", "/rooms/blue/answer-candidates"} {
			l := dial(t, address)
			l.say("GET "+path+" HTTP/1.1", "Host: localhost", "Prefer: wait=60", "", "")
			parked = append(parked, l)
		}
		(&site{Server: s, t: t}).untilWaiting(len(parked))
		if err := stop(); err != nil {
			t.Errorf("Serve: %v", err)
		}
		for _, l := range parked {
			l.hear().has("Retry-After", "1").has("Cache-Control", "no-store").problem(503, "draining")
			l.cutOff()
		}
		if c, err := net.Dial("tcp", address); err == nil {
			_ = c.Close()
			t.Error("the address still accepts connections")
		}
	})

	t.Run("a request that does not end within the grace is broken off", func(t *testing.T) {
		s := quiet(Config{})
		address, stop := serve(t, s, time.Millisecond)
		l := dial(t, address)
		l.say("POST /offer HTTP/1.1", "Host: localhost", "Content-Length: 100", "Expect: 100-continue", "", "")
		l.hear().is(100) // now it is being read
		if err := stop(); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Serve: %v, want that a request did not end", err)
		}
		l.cutOff()
	})

	t.Run("a listener that is closed is an error", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		_ = l.Close()
		if err := quiet(Config{}).Serve(t.Context(), l, patience); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Serve: %v, want %v", err, net.ErrClosed)
		}
	})
}

func TestSlowClients(t *testing.T) {
	const slow = 50 * time.Millisecond
	address, _ := serve(t, quiet(Config{SlowClient: slow}), patience)

	t.Run("who does not end the head is cut off", func(t *testing.T) {
		l := dial(t, address)
		l.say("GET /healthz HTTP/1.1", "Host: he")
		l.cutOff()
	})

	t.Run("who does not end the body is told, and cut off", func(t *testing.T) {
		for _, request := range []string{"POST /offer", "PUT /offer", "POST /answer", "POST /offer-candidate"} {
			l := dial(t, address)
			l.say(request+" HTTP/1.1", "Host: localhost", "Content-Length: 100", "", `{"type":`)
			if detail := l.hear().problem(400, "invalid"); !strings.Contains(detail, "did not arrive within 50ms") {
				t.Errorf("%s: the detail is %q", request, detail)
			}
			l.cutOff()
		}
	})

	t.Run("who breaks off the body is told", func(t *testing.T) {
		l := dial(t, address)
		l.say("POST /offer HTTP/1.1", "Host: localhost", "Content-Length: 100", "", `{"type":`)
		if err := l.Conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		l.hear().problem(400, "invalid")
		l.cutOff()
	})

	t.Run("a client that does not end a body that is not read is cut off", func(t *testing.T) {
		for request, status := range map[string]int{"GET /offer": 404, "GET /nothing": 404, "PATCH /offer": 405, "POST /rooms/a-b/offer": 400} {
			l := dial(t, address)
			l.say(request+" HTTP/1.1", "Host: localhost", "Content-Length: 100", "", "{")
			l.hear().is(status)
			l.cutOff()
		}
	})

	t.Run("who only waits is not slow", func(t *testing.T) {
		l := dial(t, address)
		l.say("GET /rooms/blue/answer HTTP/1.1", "Host: localhost", "Prefer: wait=1", "", "")
		l.hear().has("Preference-Applied", "wait=1").problem(404, "no-answer")
	})

	t.Run("who pauses between two requests is not slow", func(t *testing.T) {
		l := dial(t, address)
		l.say("GET /healthz HTTP/1.1", "Host: localhost", "", "")
		l.hear().is(200)
		for range 3 { // longer than any deadline of the response
			other := dial(t, address)
			other.say("GET /healthz HTTP/1.1", "Host: he")
			other.cutOff()
		}
		l.say("POST /offer HTTP/1.1", "Host: localhost", "Expect: 100-continue", "Content-Length: "+strconv.Itoa(len(anOffer)), "", "")
		l.hear().is(100)
		l.say(anOffer)
		l.hear().is(201)
	})

	t.Run("who does not take the response is cut off", func(t *testing.T) {
		ended := make(onRecord, 2)
		s := New(memstore.New(memstore.Limits{}), Config{SlowClient: slow, MaxBody: 16 << 20, Log: slog.New(ended)})
		large := ofSize("offer", 12<<20) // more than a kernel buffers
		if _, err := s.store.Offer(t.Context(), signaling.Ticket{Room: signaling.Lobby}, []byte(large)); err != nil {
			t.Fatal(err)
		}
		address, _ := serve(t, s, patience)
		l := dial(t, address)
		if err := l.Conn.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
			t.Fatal(err)
		}
		l.say("GET /offer HTTP/1.1", "Host: localhost", "", "")
		select {
		case r := <-ended:
			r.Attrs(func(a slog.Attr) bool {
				if a.Key == "bytes" && a.Value.Int64() >= int64(len(large)) {
					t.Error("the response went out as a whole: make it larger")
				}
				return true
			})
		case <-time.After(patience):
			t.Error("the response is still being written")
		}
	})
}

// onRecord is a log whose records are events.
type onRecord chan slog.Record

func (onRecord) Enabled(context.Context, slog.Level) bool { return true }
func (o onRecord) WithAttrs([]slog.Attr) slog.Handler     { return o }
func (o onRecord) WithGroup(string) slog.Handler          { return o }
func (o onRecord) Handle(_ context.Context, r slog.Record) error {
	select {
	case o <- r:
	default:
	}
	return nil
}
