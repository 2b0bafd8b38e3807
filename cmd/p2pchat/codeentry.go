package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"p2pchat/chat/screen"
	"p2pchat/peer"
	"p2pchat/signaling"
)

// A codeEntry is a code that the person enters on the screen. The zero Code asks for a new one.
type codeEntry struct {
	code   peer.Code
	server string // of a pasted link or command; empty: the current one
	same   bool   // it is the same call, at another server
}

// typedAhead returns a sentence about n messages that the person may have meant for another code.
func typedAhead(n int) string {
	if n == 1 {
		return "The message that you have typed goes to the person with this code. To drop it, leave now: /quit."
	}
	return fmt.Sprintf("The %d messages that you have typed go to the person with this code. To drop them, leave now: /quit.", n)
}

// question returns why the person is asked for another code after err, or "" if there is no question. Where each line of the
// input is a message, a code from the command line is not asked for again: the program ends with its exit code.
func (c *connector) question(err error) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	calls := c.o.side == signaling.Caller
	switch {
	case !c.o.prompts || c.connected:
	case calls && errors.Is(err, peer.ErrBurnt):
		return "Three wrong codes were tried, so this code no longer works. A stranger may be guessing: send the new code by another route."
	case calls || !c.o.asked && !c.o.full || c.o.keeper.contact() != "":
	case errors.Is(err, peer.ErrWrongCode):
		return c.wrongCode()
	case errors.Is(err, peer.ErrTaken):
		return "This call is over: another person answered it, or the caller hung up."
	}
	return ""
}

// wrongCode counts a wrong code, and returns how many attempts are left at most: strangers may have used
// attempts, too. The caller holds c.mu.
func (c *connector) wrongCode() string {
	if c.room != c.o.code.Room {
		c.room, c.tried = c.o.code.Room, 0
	}
	c.tried++
	switch left := peer.Guesses - c.tried; {
	case left <= 0:
		return fmt.Sprintf("%d wrong attempts: this code no longer works. Ask for a new one.", peer.Guesses)
	case left == 1:
		return "Wrong code. At most 1 attempt left."
	default:
		return fmt.Sprintf("Wrong code. At most %d attempts left.", left)
	}
}

// ask asks the person for another code, because of err. It returns nil if the person leaves instead.
func (c *connector) ask(ctx context.Context, question string, err error) *codeEntry {
	c.conversation.Tell(screen.CodeWanted{Why: question, Calling: c.o.side == signaling.Caller})
	select {
	case e := <-c.entered:
		return &e
	case <-ctx.Done():
		c.mu.Lock()
		defer c.mu.Unlock()
		c.leftBy = err
		return nil
	}
}

// enter implements screen.Streams.Code. A caller enters nothing, and gets a new code.
func (c *connector) enter(text string) error {
	c.mu.Lock()
	server := c.o.server
	c.mu.Unlock()
	var e codeEntry
	if c.o.side == signaling.Callee {
		// Other machines know the server of this machine by another address, which a pasted link may name.
		o := talkOptions{side: c.o.side, server: server, serverGiven: !onLoopback(server), serverSaved: c.o.serverSaved} // parse changes it
		var err error
		if e.code, err = c.codes.read(text, o.parse); err != nil {
			return err
		}
		if o.server != server {
			e.server = o.server
		}
	}
	c.mu.Lock() // a code that is entered after the two sides have met would end their conversation at the next loss
	defer c.mu.Unlock()
	if c.connected {
		return errNoQuestion
	}
	select {
	case c.entered <- e:
		return nil
	default:
		return errNoQuestion
	}
}

// minRoomDigits is how many digits the room of a generated code has: "2 blue-cups" is a message.
const minRoomDigits = 3

// isCode implements screen.Streams.IsCode. A mistyped code is one, too: most of a secret must not become a message. With
// spaces it has to be right, because "417 people came" is a message.
func (c *connector) isCode(text string) bool {
	code, ok := c.asCode(text)
	mistyped := code.Unlisted() != "" && isWord(text)
	return ok && (code.IsGenerated() || mistyped) && len(code.Room) >= minRoomDigits
}

// mayBeCode implements screen.Streams.MayBeCode: a code that a person chose is a word with a dash.
func (c *connector) mayBeCode(text string) bool {
	code, ok := c.asCode(text)
	return ok && code.Secret != "" && isWord(text)
}

// anotherCall implements screen.Streams.AnotherCall.
func (c *connector) anotherCall(text string) string {
	code, _ := c.asCode(text)
	c.mu.Lock()
	own, server := c.o.code, c.o.server
	c.mu.Unlock()
	if !c.isCode(text) || code == own {
		return ""
	}
	command := "p2pchat answer " + code.String()
	if _, other := pasted(text, server); other != "" && other != server {
		command += " --server " + quoted(other)
	}
	return "This looks like a code. To answer a call with it: " + command + "."
}

// asCode returns the code that a line is if it is one; ok is false if not, or if the two sides have met.
func (c *connector) asCode(text string) (code peer.Code, ok bool) {
	c.mu.Lock()
	connected, o := c.connected, talkOptions{server: c.o.server}
	c.mu.Unlock()
	code, err := o.parse(text)
	return code, !connected && err == nil
}

func isWord(text string) bool { return !strings.Contains(strings.TrimSpace(text), " ") }

// replaceCode makes the next Session meet with e. The person is asked again if its code is wrong.
func (o *talkOptions) replaceCode(e codeEntry) {
	if e.same {
		o.home, o.moved, o.patience = o.named(), true, signaling.Forever
		o.server = cmp.Or(e.server, o.server)
		return
	}
	if o.side == signaling.Callee { // a caller stays where it serves
		o.server, o.home, o.moved = o.named(), "", false
	}
	o.code, o.asked = e.code, true
	o.outbox.startOver()
	if e.server != "" {
		o.server, o.serverGiven, o.patience = e.server, true, 0
	}
}

// otherCode waits until the person enters another code. It returns nil once ctx ends. When long ticks, it tells that the other side is still
// lost: once if the server is away, and once when the other side could come.
func (c *connector) otherCode(ctx context.Context, long <-chan time.Time, typed peer.Code) *codeEntry {
	after, toldAway := time.Duration(0), false
	for {
		select {
		case <-long:
			after += stillLost
			e := screen.StillLost{After: after, Code: typed.String(), Server: c.outage.serverAway(c.o)}
			if e.Server == "" || !toldAway {
				c.conversation.Tell(e)
			}
			if toldAway = true; e.Server == "" {
				long = nil
			}
		case e := <-c.entered:
			if (e != codeEntry{code: c.o.code}) { // which the Session has
				return &e
			}
		case <-ctx.Done():
			return nil
		}
	}
}
