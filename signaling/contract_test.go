package signaling_test

import (
	"flag"
	"log/slog"
	"testing"

	"go.uber.org/goleak"

	"p2pchat/signaling"
	"p2pchat/signaling/internal/pipenet"
	"p2pchat/signaling/memstore"
	"p2pchat/signaling/server"
	"p2pchat/signaling/storetest"
)

func TestMain(m *testing.M) {
	_ = flag.Set("rapid.checks", "10") // instead of 100, which took 36 s over HTTP under the race detector
	goleak.VerifyTestMain(m)
}

// TestClientIsAStore runs the tests of Stores with a Client and a server.
func TestClientIsAStore(t *testing.T) {
	storetest.RunVirtual(t, func(t *testing.T, limits storetest.Limits, observe func(signaling.Store) signaling.Store) signaling.Store {
		below := observe(memstore.New(memstore.Limits{Rooms: limits.Rooms, Candidates: limits.Candidates, ListBytes: limits.ListBytes}))
		s := server.New(below, server.Config{Log: slog.New(slog.DiscardHandler)})
		l := pipenet.Serve(t, s)
		t.Cleanup(s.Drain)
		return connected(t, l, signaling.Config{})
	})
}

// connected returns a Client of the server that listens in memory.
func connected(t *testing.T, l *pipenet.Listener, config signaling.Config) *signaling.Client {
	t.Helper()
	c := client(t, pipenet.URL, config)
	c.DialWith(l.Dial)
	return c
}

// client returns a Client whose connections are closed when the test ends.
func client(t *testing.T, base string, config signaling.Config) *signaling.Client {
	t.Helper()
	c, err := signaling.NewClient(base, config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.CloseIdle)
	return c
}

// TestClientIsAMail runs the tests of a Mail with a Client and a server.
func TestClientIsAMail(t *testing.T) {
	storetest.RunMailVirtual(t, func(t *testing.T, limits storetest.MailLimits, observe func(signaling.MailWatcher) signaling.MailWatcher) signaling.Mail {
		below := observe(memstore.NewMail(memstore.MailLimits(limits)))
		s := server.New(memstore.New(memstore.Limits{}), server.Config{Mail: server.MailConfig{Boxes: below}, Log: slog.New(slog.DiscardHandler)})
		l := pipenet.Serve(t, s)
		t.Cleanup(s.Drain)
		return connected(t, l, signaling.Config{})
	})
}
