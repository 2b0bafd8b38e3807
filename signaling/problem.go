package signaling

import (
	"errors"
	"net/http"
	"strings"
)

const urn = "urn:p2pchat:"

// A Problem is one of this package's errors as the REST API sends it: application/problem+json
// (RFC 9457). errors.Is finds the error that it was made from.
type Problem struct { //nolint:errname // RFC 9457's name
	Type   string `json:"type"` // a stable URN, for example urn:p2pchat:no-offer
	Title  string `json:"title"`
	Status int    `json:"status"` // of HTTP
	Detail string `json:"detail"` // a sentence for people
}

// problems maps errors to HTTP and back, for the server and the client.
var problems = []struct {
	err    error
	name   string
	status int
	detail string
}{
	{ErrNoRoom, "no-room", http.StatusNotFound, "This room is not open, or it has ended: an idle room ends by itself."},
	{ErrNoOffer, "no-offer", http.StatusNotFound, "This room has no offer yet. To wait for it, send the header 'Prefer: wait=30'."},
	{ErrNoAnswer, "no-answer", http.StatusNotFound, "This room has no answer yet. To wait for it, send the header 'Prefer: wait=30'."},
	{ErrUnchanged, "unchanged", http.StatusNotModified, "Nothing has changed."},
	{ErrClosed, "closed", http.StatusNotFound, "The caller closed the room, or the server was restarted."},
	{ErrTurnedDown, "turned-down", http.StatusGone, "This token is no longer valid: its offer or its answer was replaced."},
	{ErrOccupied, "occupied", http.StatusConflict, "This room already has a caller. Choose another room, or wait until that call ends."},
	{ErrAnswered, "answered", http.StatusConflict, "This call already has an answer."},
	{ErrSuperseded, "superseded", http.StatusPreconditionFailed, "The caller has replaced the offer. Read the new one and answer it."},
	{ErrWrongToken, "wrong-token", http.StatusUnauthorized, "This request needs the token that came with the offer or the answer, in the header 'Authorization: Bearer TOKEN'."},
	{ErrNoKey, "access-key", http.StatusUnauthorized, "This server opens rooms for those who have its access key, in the header 'X-P2PChat-Key'. Guests need none."},
	{ErrTooMany, "too-many", http.StatusTooManyRequests, "Your network address sends too many requests. Try again in a moment."},
	{ErrGuesses, "guesses", http.StatusTooManyRequests, "Callers turned down three answers from your network address in the last ten minutes, as they do with wrong codes. Wait a few minutes; or call, and let the other side answer."},
	{ErrTooManyRooms, "too-many-rooms", http.StatusTooManyRequests, "Your network address holds as many rooms as this server allows one address. Idle rooms end by themselves. Wait a few minutes, or let the other side call."},
	{ErrListFull, "candidates-full", http.StatusConflict, "The list holds as many candidates, or as many bytes of them, as this server allows."},
	{ErrGap, "candidates-gap", http.StatusConflict, "The list ends before the index given with 'at'. Send the missing candidates first."},
	{ErrMailOff, "mail-off", http.StatusNotFound, "This server keeps no messages for people who are away."},
	{ErrBoxFull, "box-full", http.StatusConflict, "This mailbox holds as much as the server allows. It has space again when its messages are read, or expire."},
	{ErrBlockExists, "block-exists", http.StatusConflict, "The mailbox already has this number, or a higher one."},
	{ErrClientMail, "client-mail", http.StatusTooManyRequests, "Your network address has left as many messages as this server allows one address. Keep them, and try again in some hours."},
	{ErrMailFull, "mail-full", http.StatusInsufficientStorage, "The server's mailboxes hold as much as it allows. Keep your messages, and try again later."},
	{ErrServerFull, "server-full", http.StatusServiceUnavailable, "The server has as many rooms as it can hold. Try again in a moment."},
	{ErrUnavailable, "unavailable", http.StatusServiceUnavailable, "The server cannot reach its store of rooms. Try again in a moment: the server reconnects by itself."},
	{ErrInvalid, "invalid", http.StatusBadRequest, "The request is not valid: see /openapi.yaml."},
	{ErrTooLarge, "too-large", http.StatusRequestEntityTooLarge, "The body is larger than this server accepts."},
	{ErrOtherSite, "other-site", http.StatusForbidden, "A web page of another site may not write here. The operator of the server can allow it with --cors-origin. If this is the page of this server behind a proxy, start the server with --public-url."},
	{ErrOtherHost, "other-host", http.StatusForbidden, "This server listens on its own machine alone, so it answers to localhost and not to other names. If a proxy stands in front, start the server with --public-url."},
	{ErrNotJSON, "not-json", http.StatusUnsupportedMediaType, "A web page has to send JSON with the header 'Content-Type: application/json'."},
	{ErrDraining, "draining", http.StatusServiceUnavailable, "The server is stopping. Try again in a moment: another server may take over."},
}

// Errors that only a server over HTTP returns.
var (
	ErrTooLarge  = errors.New("the body is too large")
	ErrNoKey     = errors.New("the server wants its access key")
	ErrTooMany   = errors.New("too many requests")
	ErrOtherSite = errors.New("the request comes from another site") // a web page may not write to this server
	ErrOtherHost = errors.New("the server does not answer to this name")
	ErrNotJSON   = errors.New("the body is not JSON by its content type")
	ErrDraining  = errors.New("the server is stopping")
)

// An explained error has its own Problem.Detail.
type explained struct {
	error
	detail string
}

func (e *explained) Unwrap() error { return e.error }

// Explain wraps err, one of this package's errors, so that its [Problem] has that detail.
func Explain(err error, detail string) error { return &explained{err, detail} }

// ProblemOf returns the [Problem] that the REST API sends for err. ok is false if err is not one
// of this package's errors.
func ProblemOf(err error) (p Problem, ok bool) {
	var detailed *explained
	for _, row := range problems {
		if !errors.Is(err, row.err) {
			continue
		}
		p = Problem{Type: urn + row.name, Title: capital(row.err.Error()), Status: row.status, Detail: row.detail}
		switch {
		case errors.As(err, &detailed):
			p.Detail = detailed.detail
		case errors.Is(row.err, ErrInvalid): // only the error says what is wrong
			p.Detail = capital(reason(err)) + "."
		}
		return p, true
	}
	return Problem{}, false
}

// Error returns the problem's detail, or its title if there is no detail.
func (p Problem) Error() string {
	if p.Detail != "" {
		return p.Detail
	}
	return p.Title
}

// Unwrap returns the error that the problem was made from, or nil if its type is unknown.
func (p Problem) Unwrap() error {
	for _, row := range problems {
		if p.Type == urn+row.name {
			return row.err
		}
	}
	return nil
}

func capital(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
