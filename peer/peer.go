// Package peer joins two programs that share a code: it swaps descriptions and
// candidates through a signaling.Store and builds a DataChannel between the two
// machines. With package pionnet, it is the only place that knows WebRTC (pion).
//
//	caller                      Store                       callee
//	  | offer, share ────────────▶ ─────────────────────────▶ |
//	  | ◀───────────────────────── ◀─── answer, share, confirm |
//	  | ◀───────────────────────── ◀─────── sealed candidates |
//	  | nonce, sealed candidates ▶ ─────────────────────────▶ |
//	  |◀══════════════ DataChannel "chat", DTLS ═════════════▶|
//	  | close the room ──────────▶                            |
//
// Descriptions go out before there are candidates (trickle ICE, RFC 8838). When an attempt fails, both sides
// start over with a fresh description: the caller replaces its offer, and the callee answers the newest one.
//
// The Store is not trusted. It can neither read nor change what two sides with the same secret agree on, and
// a Session returns a Pipe only once the other side has proven that it knows the secret (handshake.go,
// docs/security.md).
package peer

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"github.com/pion/transport/v5"
	"github.com/pion/webrtc/v4"

	"p2pchat/peer/internal/portmap"
	"p2pchat/signaling"
)

// Errors of a meeting, beside those of the Store.
var (
	// ErrNoPath: the two found each other, but their machines did not.
	ErrNoPath = errors.New("the two machines could not reach each other")
	// ErrNoRelay: RelayOnly, and no TURN server is known.
	ErrNoRelay = errors.New("there is no TURN server to relay through, and nothing else is allowed")
	// ErrReplaced: another caller has taken the room over.
	ErrReplaced = errors.New("another call has taken over the room")
	// ErrLost: there was a connection, and the other machine fell silent.
	ErrLost = errors.New("the connection to the other side was lost")
	// ErrTaken: the caller closed the room before it accepted this side's answer.
	ErrTaken = errors.New("this call is over: another program answered first, or the caller has hung up")
	// ErrWrongCode: this callee's secret is not the caller's.
	ErrWrongCode = errors.New("wrong code")
	// ErrBurnt: this caller's code is used up by wrong answers.
	ErrBurnt = errors.New("three wrong codes were tried, so this code no longer works")
	// ErrImpostor: the other side does not know the code.
	ErrImpostor = errors.New("the other side is not who it should be")
)

// Config tunes both sides of a meeting. Its zero value meets on the local network, without STUN and TURN.
type Config struct {
	// ICEServers are STUN and TURN servers. If nil, Discover finds them; if Discover is nil, too,
	// there are none. A caller calls Discover with the zero Ticket, and a callee with the
	// ticket that it will answer with. Discover waits up to wait until the room exists, and returns
	// signaling.ErrNoRoom otherwise: signaling.Client.ICEServers does so.
	ICEServers []signaling.ICEServer
	Discover   func(ctx context.Context, t signaling.Ticket, wait time.Duration) ([]signaling.ICEServer, error)
	// Host is the signaling server's: of the servers that Discover finds, only those on this host are
	// used, see OwnICEServers. If it is empty, all are used, up to four with eight URLs.
	Host   string
	Resume *Resumption // where an earlier Session of the same side ended; nil starts a new meeting
	// Save saves what another Session needs to go on from here, and returns once it is on
	// disk. The Session calls it before a wrong answer has any effect, from any goroutine. If it
	// fails, the typed code is burnt. It may be nil.
	Save      func(Resumption) error
	RelayOnly bool // offer no address of this machine to the other side
	// Proxy connects to TURN servers over TCP and TLS, instead of this machine; it gets the server's name. Nil: this
	// machine does. UDP goes through no proxy: with RelayOnly, only TURN servers over TCP and TLS are used then.
	Proxy func(ctx context.Context, network, address string) (net.Conn, error)
	// NoLookups leaves all names of servers to Proxy: no name server learns them. Servers over UDP are used only if
	// they are named by an address.
	NoLookups bool
	// MapPorts asks the default gateway for a port that leads to this machine, while a meeting and its connection last. It
	// has no effect with RelayOnly or Proxy.
	MapPorts bool
	// DataChannelsOnly keeps files from QUIC, which carries them with less work of the processor where the two machines
	// reach each other directly and soon.
	DataChannelsOnly bool
	// Moves lets the Session move its connection from a relay to a direct path while it is used, if the other side allows it,
	// too: see Pipe.Replaced. With RelayOnly, a Session never does. A connection through a relay is also renewed, with
	// RelayOnly, too, when the credentials with which a TURN server keeps it have ended.
	Moves bool
	// Report receives one event after the other, from a goroutine that waits until it returns. It may be nil.
	Report func(Event)
	Log    *slog.Logger // slog.Default() if nil

	net     transport.Net               // the machine's own if nil
	gateway *portmap.Gateway            // the machine's own if nil
	route   func(netip.Addr) netip.Addr // pionnet.SourceTo if nil, for the machine's own net
	isGone  func(netip.Addr) bool       // asks the system if nil
	patient bool                        // wait for nominations, see pionnet.FirstCheck
	relayed bool                        // the connection was through a relay until now: another relay is taken at once
	gathers bool                        // addresses are gathered before there is a description

	certificate *webrtc.Certificate // of one connection; pion makes one if nil

	contact *Contact // whom to meet without a code; nil with one
	private bool     // only the two have the codes: wrong answers are no guesses
}

// An Event is one of the types below.
type Event interface{ event() }

type (
	// Waiting says that the room is open, or watched: the other side can come. With the Resumption,
	// another Session could wait for it.
	Waiting struct {
		Code       Code
		Resumption Resumption
	}
	// NoCall says that this side answers, and that the server has no offer in the room.
	NoCall struct{ Code Code }
	// Connecting says that the other side is there.
	Connecting struct{}
	// Taken says that another program has answered the call; this side waits for the
	// next one.
	Taken struct{}
	// WrongCode says that a program answered without the right secret, and how many more wrong answers
	// the code takes; or, if Left is negative, that this side answered so.
	WrongCode struct{ Left int }
	// Burnt says that the typed code no longer works, though the Session goes on: the two
	// have met, and can meet again where only they can.
	Burnt struct{}
	// Retrying says that an attempt to connect failed, and another one begins.
	Retrying struct{ Err error }
	// Trying says that connecting takes long, and which addresses each side has given.
	Trying struct{ This, Other string }
	// Stats says how the connection is doing, every few seconds.
	Stats struct{ RTT time.Duration }
)

func (Waiting) event()    {}
func (NoCall) event()     {}
func (Connecting) event() {}
func (Taken) event()      {}
func (WrongCode) event()  {}
func (Burnt) event()      {}
func (Retrying) event()   {}
func (Trying) event()     {}
func (Stats) event()      {}

// Call opens the code's room at the Store and waits in it for an answer with the
// same secret. The zero Code makes a new code, for a free room, and Waiting reports it.
// The Session runs until Close.
func Call(at signaling.Store, code Code, config Config) *Session {
	return start(at, signaling.Caller, []Code{code}, config)
}

// Answer joins the caller of the code's room, as soon as there is one. The Session runs
// until Close.
func Answer(at signaling.Store, code Code, config Config) *Session {
	return start(at, signaling.Callee, []Code{code}, config)
}
