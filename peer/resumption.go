package peer

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"slices"
	"strings"

	"p2pchat/signaling"
)

// A Resumption is what another Session needs to meet the same other side again, in a
// program that was restarted: see Config. It contains the secret of the two.
type Resumption struct {
	Side        signaling.Side
	Typed       Code   // with which the two met first, or are to meet
	Token       string // the caller's in that room, where its last offer may still be
	Rendezvous  Code   `json:"Next"` // with which they can meet again; zero before they have met
	Before      Code   // with which they met last; Typed if zero
	Heard       bool   // the other side was heard then; otherwise it may know Before only
	Spent       int    // guesses at Typed's secret so far, see Guesses
	Verified    bool
	SafetyWords []string
	Contact     []byte `json:",omitempty"` // see Pipe.ContactKey
}

// Resumption returns how to meet this Pipe's other side again.
func (p *Pipe) Resumption() Resumption {
	return Resumption{Side: p.side, Typed: p.typed, Token: p.token, Rendezvous: p.Rendezvous, Before: p.code, Heard: isClosed(p.heard), Spent: p.spent, Verified: p.Verified, SafetyWords: p.SafetyWords, Contact: p.contact}
}

// Burnt returns ErrBurnt or ErrImpostor if the two can no longer meet with Typed, because it has taken all its
// guesses, and nil otherwise.
func (r Resumption) Burnt() error {
	if r.Typed.Secret == "" || r.Spent < Guesses {
		return nil
	}
	return burnt(r.Side)
}

func burnt(side signaling.Side) error {
	if side == signaling.Caller {
		return ErrBurnt
	}
	return fmt.Errorf("%w: %d callers in this room did not prove that they know the code", ErrImpostor, Guesses)
}

// resumption returns how another Session could go on from here. Before the first meeting, code is
// the typed one.
func (s *Session) resumption(t signaling.Ticket, code Code) Resumption {
	r := Resumption{Side: s.side, Typed: code}
	if s.side == signaling.Caller {
		r.Token = t.Token
	}
	if s.last != nil {
		r = s.last.Resumption()
	}
	r.Spent = s.guesses.used()
	return r
}

// spend counts a guess, and saves the count.
func (s *Session) spend(now Resumption) error {
	return s.guesses.spend(s.saveSpent(now))
}

// refund takes back a guess that turned out to be none, and saves the count.
func (s *Session) refund(now Resumption) { s.guesses.refund(s.saveSpent(now)) }

func (s *Session) saveSpent(now Resumption) func(spent int) error {
	return func(spent int) error {
		if now.Spent = spent; s.config.Save == nil {
			return nil
		}
		return s.config.Save(now)
	}
}

// countsGuesses reports whether wrong answers with code count as guesses: it was typed, and has a
// secret.
func (s *Session) countsGuesses(code Code) bool {
	return code.Secret != "" && !s.isPrivate(code)
}

// unburnt returns the codes that still take guesses, or whose guesses do not count.
func (s *Session) unburnt(codes []Code) []Code {
	return slices.DeleteFunc(slices.Clone(codes), func(c Code) bool { return s.countsGuesses(c) && s.guesses.burnt() })
}

// resume goes on where another Session ended, and returns the codes to meet with.
func (s *Session) resume(r Resumption) []Code {
	s.guesses.spent = max(0, r.Spent)
	if r.Token != "" {
		s.tickets[r.Typed] = signaling.Ticket{Room: r.Typed.Room, Side: signaling.Caller, Token: r.Token}
	}
	if r.Rendezvous == (Code{}) {
		return []Code{r.Typed}
	}
	s.met = true
	if r.Before == (Code{}) {
		r.Before = r.Typed
	}
	s.last = &Pipe{
		Details: Details{Verified: r.Verified, SafetyWords: r.SafetyWords}, Rendezvous: r.Rendezvous,
		side: r.Side, code: r.Before, typed: r.Typed, token: r.Token, contact: r.Contact,
	}
	if r.Heard {
		return []Code{r.Rendezvous}
	}
	return []Code{r.Rendezvous, r.Before}
}

// token returns the caller's token in a room that only two can find. It follows from the code, so
// that a caller whose program was killed can replace the offer that it left behind.
func (c Code) token() string {
	b, err := hkdf.Key(sha256.New, []byte(c.Secret), nil, "p2pchat/1 token", sidSize)
	if err != nil {
		panic(err) // only for a size above 8,160
	}
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b))
}
