// Package signaling is the place where two machines meet: a room with four
// documents, written by two sides.
//
//	caller                        room                        callee
//	  | Offer ───────────────────▶ offer ────────── Description |
//	  | Description ────────────── answer ◀───────────── Answer |
//	  | AddCandidates ─▶ offer candidates ─────────── Candidates |
//	  | Candidates ───── answer candidates ◀────── AddCandidates |
//	  | Close ────────────────────▶ (gone)                       |
//
// A Store keeps rooms: in memory (memstore), or behind the REST API of another
// machine (Client). All Stores pass the same tests (storetest), so their users need not
// know which Store they have.
package signaling

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
	"unicode/utf8"
)

// Lobby is the room that needs no token, and whose offer and answer any client may replace. The API's paths without a room name mean this one.
const Lobby = "lobby"

// KeyHeader is the HTTP header for the access key of a server that wants one.
const KeyHeader = "X-P2PChat-Key"

// Early is how long candidates in the Lobby wait for the offer that they precede.
const Early = 5 * time.Second

// DigitsHeader is the HTTP header in which a server that is asked for ICE servers proposes
// how many digits the number of a new room should have: FewDigits to ManyDigits.
const DigitsHeader = "P2PChat-Room-Digits"

// FewDigits is the least that a server proposes, and ManyDigits the most.
const (
	FewDigits  = 3
	ManyDigits = 9
)

// Forever is the wait that only the context's end ends.
const Forever = time.Duration(math.MaxInt64)

// A Store keeps rooms. Its methods may be called concurrently.
//
// A read that finds nothing newer than what its caller has waits for it, up to
// wait (0 answers at once; a remote Store may round up to a second). Once the wait
// is over it says how things stand: ErrNoRoom, ErrNoOffer, ErrNoAnswer,
// ErrUnchanged or an empty list. A context that ends sooner ends the read with the
// context's error.
//
// A read of what the callee writes, with a token, speaks for the caller who holds it:
// it does not wait for a room to appear but answers ErrClosed when the room is gone,
// and ErrTurnedDown when the token is no longer one of the room's. A read of the
// caller's candidates with the token of a callee who was turned down, because the
// offer or the answer was replaced, is ErrTurnedDown: a room remembers the last 8 of
// them. Any other token makes no difference to a read, so that a client may send its
// own from the start. A room that is closed during a read ends it with ErrClosed.
//
// Every write may be repeated with the same ticket, when its reply was lost: what
// stands already is left as it is, and the reply is the same. (AddCandidates: if it
// says at which index.)
//
// A room whose name CheckRoom refuses is ErrInvalid to every method. What is written
// is copied, so that its buffer may be used again; what was read must not be changed.
type Store interface {
	// Offer opens t.Room with an offer that t.Token owns from now on. In the Lobby
	// it replaces what is there. Errors: ErrOccupied, ErrServerFull, ErrTooManyRooms,
	// ErrInvalid.
	Offer(ctx context.Context, t Ticket, d Description) (Version, error)
	// Reoffer replaces the caller's offer and empties the answer and both lists;
	// the callee's token dies. Errors: ErrNoRoom, ErrWrongToken, ErrInvalid.
	Reoffer(ctx context.Context, t Ticket, d Description) (Version, error)
	// Answer answers the offer of version to, or whatever offer stands if to is
	// empty; t.Token owns the answer from now on. Errors: ErrNoOffer, ErrAnswered
	// (in the Lobby the new answer replaces the old one, but not its candidates),
	// ErrSuperseded, ErrGuesses, ErrInvalid.
	Answer(ctx context.Context, t Ticket, to Version, d Description) (Version, error)
	// Description reads what side of wrote, if it is not the version known.
	Description(ctx context.Context, t Ticket, of Side, known Version, wait time.Duration) (Description, Version, error)
	// AddCandidates adds to the list of t.Side, the first one at index at, or at the
	// end if at is negative; what is there already is not added again. It returns
	// the list's length. Errors: ErrNoRoom, ErrWrongToken, ErrListFull, ErrGap,
	// ErrInvalid.
	//
	// A plain client may send its candidates while its offer is under way. So in the
	// Lobby, the caller's candidates without a token wait up to Early for the next offer
	// if none stands. If one does, they are added to its list, and the next offer takes
	// them along if they name its ICE username fragment (RFC 8839, section 5.4).
	AddCandidates(ctx context.Context, t Ticket, at int, c ...Candidate) (int, error)
	// Candidates reads the list of side of from index after on.
	Candidates(ctx context.Context, t Ticket, of Side, after int, wait time.Duration) ([]Candidate, error)
	// Close ends the room: reads that wait in it return ErrClosed at once.
	// Errors: ErrNoRoom, ErrWrongToken.
	Close(ctx context.Context, t Ticket) error
}

// A Watcher is a Store whose readers need not stay while they wait.
type Watcher interface {
	Store
	// Watch calls tell, once, when what side of has of a document may have changed: with
	// nil if it is worth another look, or with ErrClosed. tell must come back at once, and
	// not call the Store. Who watches first and then looks misses nothing. stop, which
	// must be called once, ends it; tell is not called after that. Until then the room is
	// waited in: it does not expire. The room's name is one that CheckRoom lets pass.
	Watch(t Ticket, of Side, what Document, tell func(error)) (stop func())
}

// What a Store answers. ProblemOf says how each travels over HTTP.
var (
	ErrNoRoom     = errors.New("there is no such room")
	ErrNoOffer    = errors.New("there is no offer yet")
	ErrNoAnswer   = errors.New("there is no answer yet")
	ErrUnchanged  = errors.New("nothing has changed")
	ErrClosed     = errors.New("the room was closed")
	ErrTurnedDown = errors.New("this token was turned down")
	ErrOccupied   = errors.New("the room has an offer already")
	ErrAnswered   = errors.New("the offer is answered already")
	ErrSuperseded = errors.New("the offer was replaced")
	ErrWrongToken = errors.New("the token does not fit")
	ErrListFull   = errors.New("the list of candidates is full")
	ErrGap        = errors.New("the candidates would leave a gap")
	// ErrGuesses: three answers of this client were turned down, as wrong guesses are.
	ErrGuesses = errors.New("too many answers of this client were turned down")
	// ErrTooManyRooms: one client may hold no more.
	ErrTooManyRooms = errors.New("this client holds too many rooms")
	ErrServerFull   = errors.New("the server is full")
	ErrInvalid      = errors.New("the request is not valid")
	// ErrUnavailable may come from every method of a Store that keeps rooms elsewhere.
	ErrUnavailable = errors.New("the place where rooms are kept cannot be reached")
)

// Later is an error that may be over After some time.
type Later struct { //nolint:errname // it reads as what it says: later
	Err   error
	After time.Duration
}

// Error implements error.
func (l *Later) Error() string { return l.Err.Error() }

// Unwrap returns the error.
func (l *Later) Unwrap() error { return l.Err }

// A Side is one of the two who meet in a room.
type Side int

// The caller writes the offer, the callee writes the answer.
const (
	Caller Side = iota
	Callee
)

// String is the name of what the side writes: "offer" or "answer".
func (s Side) String() string {
	if s == Caller {
		return "offer"
	}
	return "answer"
}

// Other is the side across.
func (s Side) Other() Side { return 1 - s }

// A Document is one of the two that each side has in a room.
type Document int

// A side has a description, and a list of candidates.
const (
	TheDescription Document = iota
	TheCandidates
)

// A Version names one state of an offer or an answer; it is opaque, and no two
// descriptions of a room share one. Over HTTP it is the ETag.
type Version string

// A Ticket says for which side of a room a request is, and holds the token that proves it. Without a token it is good for reading, and for the Lobby.
type Ticket struct {
	Room  string
	Side  Side
	Token string
	// From tells clients apart, for a Store that bounds what one of them does. A server sets
	// it; it is empty for a client without bounds, and does not travel over HTTP.
	From string
}

// NewTicket makes a ticket with a fresh token of 130 random bits.
func NewTicket(room string, side Side) Ticket {
	return Ticket{Room: room, Side: side, Token: rand.Text()}
}

// A Description is a session description: one JSON object whose type is "offer" or
// "answer" and whose sdp is a string. Its other members, and its very bytes, are
// kept as they are.
type Description []byte

// Check reports, as ErrInvalid, what keeps d from being a description by side.
func (d Description) Check(side Side) error {
	members, err := object(d)
	if err != nil {
		return err
	}
	var kind, sdp *string
	if json.Unmarshal(members["type"], &kind) != nil || kind == nil || *kind != side.String() {
		return invalid("the member \"type\" must be %q", side.String())
	}
	if json.Unmarshal(members["sdp"], &sdp) != nil || sdp == nil {
		return invalid("the member \"sdp\" must be a string")
	}
	return nil
}

// A Candidate is an ICE candidate: one JSON object, kept as it is.
type Candidate []byte

// Check reports, as ErrInvalid, what keeps c from being a candidate.
func (c Candidate) Check() error {
	_, err := object(c)
	return err
}

// ParseCandidates reads one candidate, or a JSON array of them, in the very bytes
// that were sent.
func ParseCandidates(body []byte) ([]Candidate, error) {
	if one := bytes.Trim(body, " \t\r\n"); len(one) == 0 || one[0] != '[' {
		if err := Candidate(one).Check(); err != nil {
			return nil, err
		}
		return []Candidate{one}, nil
	}
	var raw []json.RawMessage
	if err := decode(body, &raw, "list"); err != nil {
		return nil, err
	}
	list := make([]Candidate, len(raw))
	for i, r := range raw {
		list[i] = Candidate(r)
		if err := list[i].Check(); err != nil {
			return nil, invalid("element %d: %s", i, reason(err))
		}
	}
	return list, nil
}

// JoinCandidates is the inverse of ParseCandidates: a JSON array with every
// candidate's own bytes.
func JoinCandidates(list []Candidate) []byte {
	joined := []byte{'['}
	for i, c := range list {
		if i > 0 {
			joined = append(joined, ',')
		}
		joined = append(joined, c...)
	}
	return append(joined, ']')
}

// An ICEServer is a STUN or TURN server, in the form that RTCPeerConnection takes.
type ICEServer struct {
	URLs       []string `json:"urls"`
	Username   string   `json:"username,omitempty"`
	Credential string   `json:"credential,omitempty"`
	// Held: the server answers a guest only once the caller has accepted the guest's answer.
	Held bool `json:"held,omitempty"`
}

// CheckRoom reports, as ErrInvalid, what keeps name from being a room's name.
func CheckRoom(name string) error {
	if len(name) == 0 || len(name) > 64 {
		return invalid("a room's name has 1 to 64 characters")
	}
	if name == "." || name == ".." { // browsers and proxies take them out of a path (RFC 3986, section 5.2.4)
		return invalid("a room's name is neither . nor ..")
	}
	for _, c := range []byte(name) {
		switch {
		case 'A' <= c && c <= 'Z', 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '.', c == '_', c == '~':
		default:
			return invalid("a room's name is made of letters A to Z, digits and . _ ~ only")
		}
	}
	return nil
}

func object(b []byte) (map[string]json.RawMessage, error) {
	var members map[string]json.RawMessage
	if err := decode(b, &members, "object"); err != nil {
		return nil, err
	}
	if members == nil {
		return nil, invalid("a JSON object was expected, not null")
	}
	return members, nil
}

func decode(b []byte, into any, kind string) error {
	if !utf8.Valid(b) {
		return invalid("the body is not UTF-8")
	}
	err := json.Unmarshal(b, into)
	if other := (*json.UnmarshalTypeError)(nil); errors.As(err, &other) {
		return invalid("a JSON %s was expected, not a %s", kind, other.Value)
	}
	if err != nil {
		return invalid("the body is not JSON: %v", err)
	}
	return nil
}

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrInvalid, fmt.Sprintf(format, args...))
}

// reason is what err, of ErrInvalid, says is wrong.
func reason(err error) string { return strings.TrimPrefix(err.Error(), ErrInvalid.Error()+": ") }
