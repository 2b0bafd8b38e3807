// Package peer joins two programs that share a code: it swaps descriptions and
// candidates through a signaling.Store and builds a DataChannel between the two
// machines. It is the one place that knows WebRTC (pion).
//
//	caller                      Store                       callee
//	  | offer ───────────────────▶ ─────────────────────────▶ |
//	  | candidates ──────────────▶ ─────────────────────────▶ |
//	  | ◀───────────────────────── ◀────────────────── answer |
//	  | ◀───────────────────────── ◀────────────── candidates |
//	  |◀══════════════ DataChannel "chat", DTLS ═════════════▶|
//	  | close the room ──────────▶                            |
//
// Descriptions go out before there are candidates (trickle ICE, RFC 8838). Both
// sides start over with a fresh description when an attempt fails: the caller
// replaces its offer, and the callee follows the newest one.
package peer

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/pion/transport/v5"

	"p2pchat/signaling"
)

// How a meeting can fail, beside the errors of the Store.
var (
	// ErrNoPath: the two found each other, and their machines could not.
	ErrNoPath = errors.New("the two machines could not reach each other")
	// ErrReplaced: another caller has taken the room over.
	ErrReplaced = errors.New("another call has taken over the room")
	// ErrLost: there was a connection, and the other machine fell silent.
	ErrLost = errors.New("the connection to the other side was lost")
)

// Config tunes both sides of a meeting. Its zero value is good.
type Config struct {
	// ICEServers are STUN and TURN servers, if nil those that the function below
	// finds out, if that is nil none.
	ICEServers []signaling.ICEServer
	Discover   func(context.Context) ([]signaling.ICEServer, error)
	RelayOnly  bool // offer no address of this machine to the other side
	Loopback   bool // offer loopback addresses too: the other side is on this machine
	// Report is told what happens, one event after the other, by a goroutine that
	// waits for it. It may be nil.
	Report func(Event)
	Log    *slog.Logger // slog.Default() if nil

	net transport.Net // the machine's own if nil
}

// An Event is one of the types below.
type Event interface{ event() }

type (
	// Waiting says that the room is open, or watched: the other side can come.
	Waiting struct{}
	// Connecting says that the other side is there.
	Connecting struct{}
	// Taken says that somebody else has answered the call; this side waits for the
	// next.
	Taken struct{}
	// Retrying says that an attempt to connect failed, and another one begins.
	Retrying struct{ Err error }
	// Stats says how the connection is doing, every few seconds.
	Stats struct{ RTT time.Duration }
)

func (Waiting) event()    {}
func (Connecting) event() {}
func (Taken) event()      {}
func (Retrying) event()   {}
func (Stats) event()      {}

// Call opens room at the Store and waits in it for whoever answers. The Session
// runs until Close.
func Call(at signaling.Store, room string, config Config) *Session {
	return start(at, room, config, (*Session).call)
}

// Answer joins the caller of room, as soon as there is one. The Session runs until
// Close.
func Answer(at signaling.Store, room string, config Config) *Session {
	return start(at, room, config, (*Session).answer)
}
