package chat

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
)

// Two sides keep each other when both have said so:
//
//	KeepPeer ── keep: nonce ─────────────▶ KeepAsked
//	            ◀───────────── keep: nonce ── KeepPeer
//	Keeper.Store                              Keeper.Store
//	            ── kept: ID ─────────────▶ Keeper.Shown, Kept
//	Kept, Keeper.Shown ◀──────── kept: ID ──
//
// A side stores before it says kept. So when a side is told that the two have kept each other, the other side has the
// keys, too; a side that was not told knows that the other side may not have them.

// A Keeper stores contacts. A Conversation calls it from several goroutines, but not at once.
type Keeper interface {
	// Check returns an error unless a contact can have that name.
	Check(name string) error
	// Store stores the other side as a contact, in the place of an earlier one with the same Key, and returns once that is on
	// disk.
	Store(a Agreement) (Stored, error)
	// Shown notes that the other side has stored the keys of that ID, and reports whether this side has them.
	Shown(id string) bool
	// Declined notes that the other side has not taken the call for which this side has stored the keys of that ID, and so has
	// none for it.
	Declined(id string)
}

// An Agreement is what two sides have agreed on who keep each other.
type Agreement struct {
	Key          []byte // of their call: Link.ContactKey
	Ours, Theirs []byte // nonces
	Name         string // which the person gave the other side; may be empty
	Peer         string // which the other side gives itself
}

// A Stored is what a Keeper has stored.
type Stored struct {
	Name  string // by which the person calls the other side
	Taken string // the name that the contact would have, if another contact did not have it; empty if it has that name
	ID    string // that this side shows to the other
}

// Errors returned by KeepPeer, beside ErrOver and ErrUnkept.
var (
	ErrNoContacts   = errors.New("this program has no place for contacts")
	ErrKeepNoPeer   = errors.New("you are not connected yet")
	ErrKeepsNone    = errors.New("the other side's program cannot keep contacts")
	ErrKeepUnproven = errors.New("this call is not verified: compare the safety words first")
	ErrIsContact    = errors.New("you have kept each other already")
)

// nonceSize is the size of a nonce, in bytes.
const nonceSize = 16

// A keeping is how far the two are with keeping each other. Conversation.agreeing guards it.
type keeping struct {
	key          []byte // of the current pipe's Link
	verified     bool   // that Link is
	ours, theirs []byte // nonces; nil until the side has said keep
	name         string // as the person of this side said
	stored       Stored // the contact that was stored last
	shown        string // what the other side has shown
	told         bool   // Kept was told for the ID of stored
}

// A keepNote is the text of a keep frame.
type keepNote struct {
	Nonce []byte `json:"nonce"`
	Key   string `json:"key"` // which key the sender means: that of an earlier call may be meant when the frame arrives
}

// KeepPeer says that this side keeps the other one as a contact, by that name; "" is the name that the other side gives
// itself. compared says that the person has compared the safety words. When the other side has said the same, Kept comes, and
// again after each further KeepPeer, which may give another name. It returns ErrNoContacts, ErrIsContact, ErrKeepNoPeer,
// ErrKeepsNone, ErrKeepUnproven, ErrOver, ErrUnkept or why the contact was not stored.
func (c *Conversation) KeepPeer(name string, compared bool) error {
	told, err := c.sayKeep(name, compared)
	if told != nil {
		c.Tell(told)
	}
	return err
}

// sayKeep is KeepPeer, and returns what the person is told, or nil.
func (c *Conversation) sayKeep(name string, compared bool) (told Event, err error) {
	c.mu.Lock()
	greeted, able, over := c.greeted, c.peer.Contacts, c.life.past(ours, leaving)
	c.mu.Unlock()
	c.agreeing.Lock()
	defer c.agreeing.Unlock()
	k := &c.keeping
	switch {
	case c.config.Keeper == nil:
		return nil, ErrNoContacts
	case c.config.Contact != "":
		return nil, ErrIsContact
	case over:
		return nil, ErrOver
	case !greeted:
		return nil, ErrKeepNoPeer
	case !able || k.key == nil:
		return nil, ErrKeepsNone
	case !k.verified && !compared:
		return nil, ErrKeepUnproven
	}
	if name != "" {
		if err := c.config.Keeper.Check(name); err != nil {
			return nil, err
		}
	}
	k.name = name
	if k.ours == nil {
		nonce := make([]byte, nonceSize)
		_, _ = rand.Read(nonce) // never fails
		text, err := json.Marshal(keepNote{nonce, keyID(k.key)})
		if err == nil {
			_, err = c.enqueue(kindKeep, string(text))
		}
		if err != nil {
			return nil, err
		}
		k.ours = nonce
	}
	if err := c.storePeer(); err != nil {
		return nil, err
	}
	k.told = false       // the person has asked once more, perhaps with another name
	return c.kept(), nil // not nil, too, if the other side stored before this one could
}

// keepAtOnce says keep if Config.KeepAs asks for it, once the other side can be kept.
func (c *Conversation) keepAtOnce() {
	c.agreeing.Lock()
	said := c.keeping.ours != nil
	c.agreeing.Unlock()
	if c.config.KeepAs == "" || said {
		return
	}
	if err := c.KeepPeer(c.config.KeepAs, false); err != nil {
		c.Tell(Notice{Text: "The other side is not kept as a contact: " + err.Error()})
	}
}

// storePeer stores the contact, under agreeing, if both sides have said keep, and shows the other side that it has done so.
func (c *Conversation) storePeer() error {
	k := &c.keeping
	if k.ours == nil || k.theirs == nil {
		return nil
	}
	c.mu.Lock()
	peer := c.peer.Name
	c.mu.Unlock()
	stored, err := c.config.Keeper.Store(Agreement{Key: k.key, Ours: k.ours, Theirs: k.theirs, Name: k.name, Peer: peer})
	if err != nil {
		return err
	}
	if stored.ID != k.stored.ID {
		k.told = false
		if _, err := c.enqueue(kindKept, stored.ID); err != nil {
			return err
		}
	}
	if stored.Name == k.stored.Name { // it was stored before with that name, and the person may not have been told
		stored.Taken = k.stored.Taken
	}
	k.stored = stored
	return nil
}

// kept returns, under agreeing, what the person is told once both sides have stored the keys: nil before, and if the person was
// told.
func (c *Conversation) kept() Event {
	k := &c.keeping
	if k.told || k.stored.ID == "" || k.shown != k.stored.ID || !c.config.Keeper.Shown(k.shown) {
		return nil
	}
	k.told = true
	return Kept{Name: k.stored.Name, Taken: k.stored.Taken}
}

// agreeOn notes which key the contacts of a new pipe would have. What was said about another key is void.
func (c *Conversation) agreeOn(link Link) {
	c.agreeing.Lock()
	defer c.agreeing.Unlock()
	if !bytes.Equal(link.ContactKey, c.keeping.key) {
		c.keeping = keeping{key: link.ContactKey}
	}
	c.keeping.verified = link.Verified
}

// handleAgreement handles the other side's keep or kept, and returns what the person is told, or nil.
func (c *Conversation) handleAgreement(f frame, from hello) Event {
	c.agreeing.Lock()
	defer c.agreeing.Unlock()
	k := &c.keeping
	switch {
	case c.config.Keeper == nil || c.config.Contact != "" || k.key == nil:
		c.drop("a keep where there are no contacts")
		return nil
	case f.kind == kindKept:
		k.shown = f.text
		return c.kept()
	}
	var n keepNote
	if json.Unmarshal([]byte(f.text), &n) != nil || len(n.Nonce) != nonceSize || n.Key != keyID(k.key) {
		c.drop("a keep that is not for this call")
		return nil
	}
	first := k.theirs == nil
	k.theirs = n.Nonce
	switch {
	case k.ours == nil && first:
		return KeepAsked{From: from.Name, Verified: k.verified}
	case k.ours == nil:
		return nil
	}
	if err := c.storePeer(); err != nil {
		return Notice{Text: "The contact was not kept: " + err.Error()}
	}
	return c.kept()
}

// keyID names a key to one who has it.
func keyID(key []byte) string {
	sum := sha256.Sum256(append([]byte("p2pchat/2 key of a call "), key...))
	return hex.EncodeToString(sum[:nonceSize])
}
