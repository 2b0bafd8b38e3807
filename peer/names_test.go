package peer

import (
	"log/slog"
	"testing"

	"p2pchat/peer/internal/pionnet"
)

// A question for a name shows the local network this machine's address, which RelayOnly hides.
func TestRelayOnlyAsksForNoName(t *testing.T) {
	config := Config{Log: slog.New(slog.DiscardHandler)}
	if newNames(t.Context(), &pionnet.Net{}, config) == nil {
		t.Error("it asks for no names at all")
	}
	config.RelayOnly = true
	if newNames(t.Context(), &pionnet.Net{}, config) != nil {
		t.Error("it asks for names")
	}
}
