package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"p2pchat/chat"
	"p2pchat/cmd/p2pchat/internal/contacts"
	"p2pchat/peer/mail"
	"p2pchat/signaling"
)

// ready reports whether there are sealed letters for the boxes. If not, it seals what was written since, and what is to be acknowledged.
func (m *mailbox) ready() bool {
	if m.refused || len(m.state().Pending) > 0 {
		return !m.refused
	}
	sealed, err := m.seal()
	if err != nil {
		m.refuse(err)
	}
	return sealed && err == nil
}

// posted handles the result of post.
func (m *mailbox) posted(ctx context.Context, err error) {
	if err != nil && ctx.Err() == nil {
		m.refuse(err)
	}
}

// refuse notes that the server took no letter, and tells the person why and what it means.
func (m *mailbox) refuse(err error) {
	m.refused = true
	name, why := m.keeper.contact(), refusedWhy(m.keeper.contact(), err)
	if m.reads && m.conversation.Waiting() == 0 {
		m.tell(fmt.Sprintf("%s cannot be told yet that you have read the letters: %s. %s learns it when you meet at the latest.", name, why, name))
		return
	}
	m.tell(fmt.Sprintf("What you write is kept on this machine, and goes out when you and %s meet. It cannot be left at the server before that: %s.", name, why))
}

// refusedWhy says why a letter could not be left.
func refusedWhy(name string, err error) string {
	switch {
	case errors.Is(err, signaling.ErrMailOff):
		return "this server keeps no messages for people who are away"
	case errors.Is(err, signaling.ErrBoxFull):
		return name + "'s mailbox is full"
	case errors.Is(err, signaling.ErrMailFull):
		return "the server's mailboxes are full"
	case errors.Is(err, signaling.ErrClientMail):
		return "your network address has left as much as this server allows"
	case errors.Is(err, signaling.ErrNoKey):
		return "this server takes letters only from those who have its access key (--access-key-file, with --server)"
	}
	return flatten(err)
}

// renew makes letters again of what was left, once that may have expired at the server. What comes twice counts once. If it has not, the
// person learns that what an earlier run has left is still there.
func (m *mailbox) renew() {
	state := m.state()
	letter, err := m.conversation.Letter(state.Through, mail.MaxLetter, false)
	unread := err == nil && letter.First <= state.Through
	if left := time.Until(state.Until); state.Until.IsZero() || left > 0 {
		if unread && left > 0 && !m.remembered {
			m.announce(state.Through, left.Round(time.Second))
		}
		m.remembered = true
		return
	}
	err = m.keeper.update(func(c *contacts.Contact) {
		c.Mail = m.current(*c)
		c.Mail.Through, c.Mail.Until = 0, time.Time{}
	})
	expired := "What you left for " + m.keeper.contact() + " at the server has expired there"
	switch {
	case err != nil && unread:
		m.tell(fmt.Sprintf("%s, and cannot be left again: %v. It goes out when you meet.", expired, err))
	case err == nil:
		m.refused = false
		if unread {
			m.announced = 0
			m.tell(expired + ". It is left again.")
		}
	}
}

// nextLook returns how long to wait before the clock is looked at again, for letters that the server keeps until then. A disk without
// space leaves that in the past.
func nextLook(now, until time.Time) time.Duration {
	return min(max(until.Sub(now), time.Second), lookAtClock)
}

// expiry returns until when a server keeps what it has taken now. It has no monotonic reading, which would stand still while the
// machine sleeps.
func expiry(kept time.Duration) time.Time { return time.Now().Add(kept).Round(0) }

// post puts the sealed letters into the boxes.
func (m *mailbox) post(ctx context.Context) (err error) {
	state := m.state()
	var kept time.Duration
	for generation, blocks := range state.Pending {
		box, ok := m.box(generation, m.keeper.keys().Side)
		if ok {
			if _, kept, err = (mail.Outgoing{Box: box, Pending: blocks}).Post(ctx, m.at); err != nil {
				return err
			}
		}
		err = m.keeper.update(func(c *contacts.Contact) {
			c.Mail.Pending = maps.Clone(c.Mail.Pending)
			delete(c.Mail.Pending, generation)
			if c.Mail.Until.IsZero() && kept > 0 {
				c.Mail.Until = expiry(kept)
			}
		})
		if err != nil {
			return err
		}
	}
	rest, err := m.conversation.Letter(state.Through, mail.MaxLetter, false)
	if err == nil && rest.First <= state.Through && kept > 0 { // else it is a receipt alone
		m.announce(state.Through, kept)
	}
	return nil
}

// announce tells the person that the messages up to id wait at the server, unless that is known.
func (m *mailbox) announce(id uint64, kept time.Duration) {
	if id > m.announced {
		m.announced = id
		m.conversation.Tell(chat.Mailed{ID: id, Kept: kept})
	}
}

// seal seals the next letter, if there is something to say, and saves it with the keys after it.
func (m *mailbox) seal() (sealed bool, err error) {
	state := m.state()
	letter, err := m.conversation.Letter(state.Through, mail.MaxLetter, state.Owed)
	if letter.Held {
		m.tell("A file, an answer to one, or a very long message waits until you meet, and so does what you write after it.")
	}
	if err != nil || letter.Text == nil {
		return false, err
	}
	return true, m.keeper.update(func(c *contacts.Contact) {
		if c.Keys.ID() != state.Generation { // the two have met since
			return
		}
		pending := map[string][]signaling.Block{}
		for i, g := range c.Keys.Generations {
			box := &c.Keys.Generations[i].Boxes[c.Keys.Side]
			out, _ := mail.Outgoing{Box: *box}.Seal(letter.Text) // it is not too long
			*box, pending[g.ID()] = out.Box, out.Pending
		}
		c.Mail = m.current(*c)
		c.Mail.Through, c.Mail.Owed, c.Mail.Pending = letter.Through, false, pending
		if letter.First > state.Through { // all letters before were read
			c.Mail.Until = time.Time{}
		}
	})
}
