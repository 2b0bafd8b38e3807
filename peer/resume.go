package peer

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base32"
	"strings"

	"p2pchat/signaling"
)

// An Again is what another Session needs to meet the same other side once more, in a
// program that was started anew: see Config. It has the secret of the two.
type Again struct {
	Side        signaling.Side
	Typed       Code   // where the two met, or are to meet
	Token       string // the caller's in that room, where its last offer may still stand
	Next        Code   // where they can meet since they did; zero before
	Heard       bool   // the other side was heard then, or else it may not know Next
	Verified    bool
	SafetyWords []string
}

// Again is how to meet this Pipe's other side once more.
func (p *Pipe) Again() Again {
	return Again{Side: p.side, Typed: p.typed, Token: p.token, Next: p.Next, Verified: p.Verified, SafetyWords: p.SafetyWords}
}

// resume goes on where another Session ended, and says where to meet.
func (s *Session) resume(a Again) []Code {
	if a.Token != "" {
		s.tickets[a.Typed] = signaling.Ticket{Room: a.Typed.Room, Side: signaling.Caller, Token: a.Token}
	}
	if a.Next == (Code{}) {
		return []Code{a.Typed}
	}
	s.met = true
	s.first = &Pipe{Next: a.Next, Verified: a.Verified, SafetyWords: a.SafetyWords, typed: a.Typed, token: a.Token}
	if a.Heard {
		return []Code{a.Next}
	}
	return []Code{a.Next, a.Typed}
}

// token is the caller's in a room that nobody else can find. It follows from the code, so
// that a caller whose program was killed can replace the offer that it left behind.
func (c Code) token() string {
	b, err := hkdf.Key(sha256.New, []byte(c.Secret), nil, "p2pchat/1 token", sidSize)
	if err != nil {
		panic(err) // of a size above 8,160
	}
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b))
}
