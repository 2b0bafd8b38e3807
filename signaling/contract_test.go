package signaling_test

import (
	"log/slog"
	"net/http/httptest"
	"testing"
	"time"

	"go.uber.org/goleak"

	"p2pchat/signaling"
	"p2pchat/signaling/memstore"
	"p2pchat/signaling/server"
	"p2pchat/signaling/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A Client passes the contract of a Store, through a real server.
func TestClientIsAStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T, limits storetest.Limits, observe func(signaling.Store) signaling.Store) signaling.Store {
		below := observe(memstore.New(memstore.Limits{Rooms: limits.Rooms, Candidates: limits.Candidates, ListBytes: limits.ListBytes}))
		s := server.New(below, server.Config{Log: slog.New(slog.DiscardHandler)})
		h := httptest.NewServer(s)
		t.Cleanup(h.Close)
		t.Cleanup(s.Drain)
		return client(t, h.URL, signaling.Config{Patience: 500 * time.Millisecond})
	})
}

// client is a Client whose connections are closed with the test.
func client(t *testing.T, base string, config signaling.Config) *signaling.Client {
	t.Helper()
	c, err := signaling.NewClient(base, config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.CloseIdle)
	return c
}
