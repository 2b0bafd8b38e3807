// Package signaling is the place where two machines meet: a room with four documents, two of
// each side.
//
//	caller                        room                        callee
//	  | Offer ───────────────────▶ offer ────────── Description |
//	  | Description ────────────── answer ◀───────────── Answer |
//	  | AddCandidates ─▶ offer candidates ─────────── Candidates |
//	  | Candidates ───── answer candidates ◀────── AddCandidates |
//	  | Close ────────────────────▶ (gone)                       |
//
// A [Store] keeps rooms: in this process (package memstore), in NATS (package natsstore), or on a
// server ([Client]). Package server serves any Store over HTTP. All Stores pass the same tests
// (package storetest), so their users need not know which Store they have.
//
// A [Mail] keeps mailboxes, in which a person leaves sealed blocks for one who is away.
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

// Lobby is the room that needs no token: any client may replace its offer and its answer. In the
// REST API it is the room of the paths without a room's name.
const Lobby = "lobby"

// EarlyWait is how long candidates in the [Lobby] wait for the offer that they precede.
const EarlyWait = 5 * time.Second

// KeyHeader is the HTTP header for the access key, which some servers ask callers for.
const KeyHeader = "X-P2PChat-Key"

// RoomDigitsHeader is the HTTP header in which a server proposes how many digits the number of a
// new room should have: [MinRoomDigits] to [MaxRoomDigits]. It comes with the ICE servers.
const RoomDigitsHeader = "P2PChat-Room-Digits"

// Bounds of the number of digits that a server proposes.
const (
	MinRoomDigits = 3
	MaxRoomDigits = 9
)

// Forever is a wait that ends only with the context.
const Forever = time.Duration(math.MaxInt64)

// A Store keeps rooms. Its methods may be called concurrently.
//
// A read waits for a version or for candidates that its caller does not have yet, up to wait (0
// returns at once; a Client rounds up to a second). When the wait is over, the read returns
// [ErrNoRoom], [ErrNoOffer], [ErrNoAnswer], [ErrUnchanged] or an empty list. If the context ends
// before, the read returns the context's error. If the room is closed before, the read returns
// [ErrClosed].
//
// The token of a [Ticket] makes a difference to some reads. A caller who reads the callee's
// documents with its token does not wait for a room to appear: the read returns ErrClosed if the
// room does not exist, and [ErrTurnedDown] if the token is not one of the room's. A callee whose
// offer or answer was replaced, and who reads the caller's candidates with its token, gets
// ErrTurnedDown; a room remembers the last 8 of these callees. Other reads ignore the token, so
// that a client may always send its own.
//
// Every write may be repeated with the same ticket, after its reply was lost: then it changes
// nothing, and returns the same as before. AddCandidates may be repeated if it names an index.
//
// Every method returns [ErrInvalid] if [CheckRoom] does so for the room's name, and may return
// [ErrUnavailable]. A Store copies what is written, so that the caller may use its buffer again.
// What a read returns must not be changed.
type Store interface {
	// Offer opens t.Room with an offer, and makes t.Token its owner. In the Lobby it replaces the
	// offer, the answer and both lists. It returns ErrOccupied if the room has an offer already,
	// ErrServerFull or ErrTooManyRooms if there is no space for another room, or ErrInvalid if d
	// is not an offer.
	Offer(ctx context.Context, t Ticket, d Description) (Version, error)
	// Reoffer replaces the caller's offer, and removes the answer and both lists; the callee's
	// token is no longer valid. It returns ErrNoRoom, ErrWrongToken if t.Token does not own the
	// offer, or ErrInvalid if d is not an offer.
	Reoffer(ctx context.Context, t Ticket, d Description) (Version, error)
	// Answer answers the offer that has version to, or the current offer if to is empty, and
	// makes t.Token the owner of the answer. It returns ErrNoOffer, ErrSuperseded if the offer has
	// another version, ErrAnswered if the room has an answer already, ErrGuesses if too many
	// answers of this client were turned down, or ErrInvalid if d is not an answer. In the Lobby
	// the new answer replaces the old one, but not the old one's candidates.
	Answer(ctx context.Context, t Ticket, to Version, d Description) (Version, error)
	// Description returns the description of side of, unless its version is known.
	Description(ctx context.Context, t Ticket, of Side, known Version, wait time.Duration) (Description, Version, error)
	// Offers returns the offers of any of the wanted rooms that its caller does not have yet, and
	// waits for one. When the wait is over it returns an empty list. It returns at most
	// [MaxOffersRead] bytes of offers, and at least one; a caller asks again for the rest. It returns
	// ErrInvalid for more than [MaxOffers] rooms, or for a room with a name of less than
	// [MinListenName] characters: rooms whose names can be guessed are waited for one by one. A wait
	// does not count as use of a room.
	Offers(ctx context.Context, wanted []WantedOffer, wait time.Duration) ([]Offered, error)
	// AddCandidates adds candidates to the list of t.Side, the first one at index at, or at the
	// end if at is negative. It does not add candidates at indexes that the list has already. It
	// returns the list's length. It returns ErrNoRoom, ErrWrongToken if t.Token does not own the
	// description of t.Side, ErrListFull, ErrGap if the list ends before at, or ErrInvalid if a
	// candidate is not a JSON object.
	//
	// A plain WebRTC client may send its candidates while its offer is under way. So in the Lobby,
	// the caller's candidates without a token wait up to EarlyWait for the next offer if there is
	// none. If there is one, they are added to its list, and the next offer gets them too if they
	// name its ICE username fragment (RFC 8839, section 5.4).
	AddCandidates(ctx context.Context, t Ticket, at int, c ...Candidate) (int, error)
	// Candidates returns the list of side of from index after on.
	Candidates(ctx context.Context, t Ticket, of Side, after int, wait time.Duration) ([]Candidate, error)
	// Close removes the room: reads that wait in it return ErrClosed at once. It returns ErrNoRoom,
	// or ErrWrongToken if t.Token does not own the offer.
	Close(ctx context.Context, t Ticket) error
}

// A Watcher is a Store that can notify a reader instead of keeping it waiting.
type Watcher interface {
	Store
	// Watch calls notify once, when a document of side of may have changed: with nil if the caller
	// should read it again, or with ErrClosed. A caller that watches first and then reads misses
	// no change. notify must return at once, and must not call the Store. The caller must call
	// stop once; after that, notify is not called. Until then the room does not expire. CheckRoom
	// must accept the room's name.
	Watch(t Ticket, of Side, what Document, notify func(error)) (stop func())
	// WatchOffers is Watch for the offers of many rooms, which it does not keep from expiring. notify
	// may be called once for each, and has to ignore all calls but the first.
	WatchOffers(wanted []WantedOffer, notify func(error)) (stop func())
}

// Errors returned by the methods of a [Store]. [ProblemOf] says how each travels over HTTP.
var (
	ErrNoRoom       = errors.New("there is no such room")
	ErrNoOffer      = errors.New("there is no offer yet")
	ErrNoAnswer     = errors.New("there is no answer yet")
	ErrUnchanged    = errors.New("nothing has changed")
	ErrClosed       = errors.New("the room was closed")
	ErrTurnedDown   = errors.New("this token was turned down") // its offer or its answer was replaced
	ErrOccupied     = errors.New("the room has an offer already")
	ErrAnswered     = errors.New("the offer is answered already")
	ErrSuperseded   = errors.New("the offer was replaced")
	ErrWrongToken   = errors.New("the token does not fit")
	ErrListFull     = errors.New("the list of candidates is full")
	ErrGap          = errors.New("the candidates would leave a gap")
	ErrGuesses      = errors.New("too many answers of this client were turned down") // three in ten minutes, as wrong codes are
	ErrTooManyRooms = errors.New("this client holds too many rooms")
	ErrServerFull   = errors.New("the server is full")
	ErrInvalid      = errors.New("the request is not valid")
	ErrUnavailable  = errors.New("the place where rooms are kept cannot be reached")
)

// Errors returned by the methods of a [Mail].
var (
	ErrMailOff     = errors.New("the server keeps no mail")
	ErrBoxFull     = errors.New("the mailbox is full")
	ErrBlockExists = errors.New("the mailbox has this number already, or a higher one")
	ErrClientMail  = errors.New("this client has left too much mail")
	ErrMailFull    = errors.New("the server's mailboxes are full")
)

// A RetryError wraps an error of a [Store] that is over after some time.
type RetryError struct {
	Err   error
	After time.Duration
}

// Error returns the text of e.Err.
func (e *RetryError) Error() string { return e.Err.Error() }

// Unwrap returns e.Err.
func (e *RetryError) Unwrap() error { return e.Err }

// A Side is one of the two sides that meet in a room.
type Side int

// The sides: the caller writes the offer, the callee writes the answer.
const (
	Caller Side = iota
	Callee
)

// String returns "offer" or "answer", whichever the side writes.
func (s Side) String() string {
	if s == Caller {
		return "offer"
	}
	return "answer"
}

// Other returns the other side.
func (s Side) Other() Side { return 1 - s }

// A Document is one of the two documents of each side of a room.
type Document int

// The documents of a side.
const (
	DocDescription Document = iota // an offer or an answer
	DocCandidates                  // a list
)

// A Version identifies a description. It is opaque, and differs between all descriptions of a room.
// Over HTTP it is the ETag.
type Version string

// A Ticket names a side of a room, and has the token that a client proves with that it is this
// side. Without a token it is good for reading, and for the [Lobby]. Make one with [NewTicket].
type Ticket struct {
	Room  string
	Side  Side
	Token string
	// From identifies the client, for a Store that limits what each client may do. A server sets
	// it from the client's address; a Client does not send it. A Store does not limit clients whose
	// From is empty.
	From string
}

// NewTicket returns a ticket with a new token of 130 random bits.
func NewTicket(room string, side Side) Ticket {
	return Ticket{Room: room, Side: side, Token: rand.Text()}
}

// A Description is a session description: one JSON object whose type is "offer" or "answer" and
// whose sdp is a string, as RTCSessionDescription.toJSON makes it. A [Store] keeps its bytes, other
// members included.
type Description []byte

// Check returns [ErrInvalid] if d is not a description by side.
func (d Description) Check(side Side) error {
	if d.scan(side) {
		return nil
	}
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

// scan reports whether d is a description by side. Only an error of Check says that it is not.
func (d Description) scan(side Side) bool {
	s := scanner{rest: d}
	var isKind, hasSDP bool
	for name, value := range s.members { // the last one of a name counts
		switch {
		case string(name) == `"type"`:
			isKind = value[0] == '"' && string(value[1:len(value)-1]) == side.String()
		case string(name) == `"sdp"`:
			hasSDP = value[0] == '"'
		case bytes.IndexByte(name, '\\') >= 0: // it may be one of these
			return false
		}
	}
	return s.end() && isKind && hasSDP
}

// A Candidate is an ICE candidate: one JSON object, as RTCIceCandidate.toJSON makes it. A [Store]
// keeps its bytes.
type Candidate []byte

// Check returns [ErrInvalid] if c is not a JSON object.
func (c Candidate) Check() error {
	s := scanner{rest: c}
	for range s.members {
	}
	if s.end() {
		return nil
	}
	_, err := object(c)
	return err
}

// ParseCandidates returns the candidates in body, which is one candidate or a JSON array of them.
// They keep parts of body. It returns [ErrInvalid] if body is anything else.
func ParseCandidates(body []byte) ([]Candidate, error) {
	if one := bytes.Trim(body, " \t\r\n"); len(one) == 0 || one[0] != '[' {
		if err := Candidate(one).Check(); err != nil {
			return nil, err
		}
		return []Candidate{one}, nil
	}
	if list, ok := scanCandidates(body); ok {
		return list, nil
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

// scanCandidates returns the objects in an array. ok is false if body is anything else, which only an error of
// ParseCandidates says.
func scanCandidates(body []byte) (list []Candidate, ok bool) {
	s := scanner{rest: body}
	list = make([]Candidate, 0, 8)
	for value := range s.elements {
		if value[0] != '{' {
			return nil, false
		}
		list = append(list, value)
	}
	return list, s.end()
}

// JoinCandidates returns a JSON array of the candidates. It is the inverse of [ParseCandidates].
func JoinCandidates(list []Candidate) []byte {
	size := len("[]") + len(list)
	for _, c := range list {
		size += len(c)
	}
	joined := append(make([]byte, 0, size), '[')
	for i, c := range list {
		if i > 0 {
			joined = append(joined, ',')
		}
		joined = append(joined, c...)
	}
	return append(joined, ']')
}

// An ICEServer is a STUN or TURN server, in the JSON form that RTCPeerConnection takes.
type ICEServer struct {
	URLs       []string `json:"urls"`
	Username   string   `json:"username,omitempty"`
	Credential string   `json:"credential,omitempty"`
	// Held means that the server replies to a callee only once the caller has accepted its answer.
	Held bool `json:"held,omitempty"`
}

// CheckRoom returns [ErrInvalid] if name is not a valid name of a room: 1 to 64 letters of ASCII,
// digits and the characters . _ ~
func CheckRoom(name string) error {
	if len(name) == 0 || len(name) > 64 {
		return invalid("a room's name has 1 to 64 characters")
	}
	if name == "." || name == ".." { // browsers and proxies remove them from a path (RFC 3986, section 5.2.4)
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

// reason returns the text of an ErrInvalid after its prefix.
func reason(err error) string { return strings.TrimPrefix(err.Error(), ErrInvalid.Error()+": ") }
