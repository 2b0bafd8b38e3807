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

// An Again is what another Session needs to meet the same other side once more, in a
// program that was started anew: see Config. It has the secret of the two.
type Again struct {
	Side        signaling.Side
	Typed       Code   // where the two met, or are to meet
	Token       string // the caller's in that room, where its last offer may still stand
	Next        Code   // where they can meet since they did; zero before
	Before      Code   // with which they met then; Typed if zero
	Heard       bool   // the other side was heard then, or else it may know Before only
	Spent       int    // guesses at Typed's secret so far, see Guesses
	Verified    bool
	SafetyWords []string
}

// Again is how to meet this Pipe's other side once more.
func (p *Pipe) Again() Again {
	return Again{Side: p.side, Typed: p.typed, Token: p.token, Next: p.Next, Before: p.code, Spent: p.spent, Verified: p.Verified, SafetyWords: p.SafetyWords}
}

// Burnt returns why the two can no longer meet with Typed, or nil: it has taken all the
// guesses that it takes.
func (a Again) Burnt() error {
	if a.Typed.Secret == "" || a.Spent < Guesses {
		return nil
	}
	return burnt(a.Side)
}

func burnt(side signaling.Side) error {
	if side == signaling.Caller {
		return ErrBurnt
	}
	return fmt.Errorf("%w: %d callers in this room did not prove that they know the code", ErrImpostor, Guesses)
}

// current is how another Session could go on from here. Before the first meeting, code is
// the typed one.
func (s *Session) current(t signaling.Ticket, code Code) Again {
	a := Again{Side: s.side, Typed: code}
	if s.side == signaling.Caller {
		a.Token = t.Token
	}
	if s.last != nil {
		a = s.last.Again()
	}
	a.Spent = s.guesses.used()
	return a
}

// spend counts a guess at code, and saves the count.
func (s *Session) spend(now Again) error {
	return s.guesses.spend(s.keepSpent(now))
}

// refund takes back a guess at code that turned out to be none, and saves the count.
func (s *Session) refund(now Again) { s.guesses.refund(s.keepSpent(now)) }

func (s *Session) keepSpent(now Again) func(spent int) error {
	return func(spent int) error {
		if now.Spent = spent; s.config.Keep == nil {
			return nil
		}
		return s.config.Keep(now)
	}
}

// guarded reports whether wrong answers with code count as guesses: it was typed, and has a
// secret.
func (s *Session) guarded(code Code) bool { return code.Secret != "" && !s.private(code) }

// usable are those of codes that are not burnt.
func (s *Session) usable(codes []Code) []Code {
	return slices.DeleteFunc(slices.Clone(codes), func(c Code) bool { return s.guarded(c) && s.guesses.burnt() })
}

// resume goes on where another Session ended, and says where to meet.
func (s *Session) resume(a Again) []Code {
	s.guesses.spent = max(0, a.Spent)
	if a.Token != "" {
		s.tickets[a.Typed] = signaling.Ticket{Room: a.Typed.Room, Side: signaling.Caller, Token: a.Token}
	}
	if a.Next == (Code{}) {
		return []Code{a.Typed}
	}
	s.met = true
	if a.Before == (Code{}) {
		a.Before = a.Typed
	}
	s.last = &Pipe{side: a.Side, code: a.Before, Next: a.Next, Verified: a.Verified, SafetyWords: a.SafetyWords, typed: a.Typed, token: a.Token}
	if a.Heard {
		return []Code{a.Next}
	}
	return []Code{a.Next, a.Before}
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
