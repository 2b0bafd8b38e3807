package peer

import (
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/pion/webrtc/v4"
	"golang.org/x/crypto/chacha20poly1305"

	"p2pchat/peer/pake"
	"p2pchat/signaling"
)

// What the two sides agree on rides on the documents that they swap anyway:
//
//	offer       "p2pchat": {v, sid, share, commit}
//	answer      "p2pchat": {v, share, nonce, confirm, candidates}
//	candidates  {"sealed"}: of the caller's the first one reveals its nonce
//
// The PAKE's key binds both SDPs, and with them the fingerprints. The server that
// carries all this can change nothing of it unnoticed, and learns no address.
const dialectVersion = 1

// document is what this package reads and writes of a description.
type document struct {
	Type    string   `json:"type"`
	SDP     string   `json:"sdp"`
	P2PChat *dialect `json:"p2pchat,omitempty"` // nil: of a plain WebRTC program

	candidates []signaling.Candidate // of a plain program: those that were in its SDP
}

// dialect is one side's part of the handshake. Bytes are in base64.
type dialect struct {
	V       int    `json:"v"`
	SID     []byte `json:"sid,omitempty"`     // in the offer: names the run of the PAKE
	Share   []byte `json:"share"`             // of the PAKE
	Commit  []byte `json:"commit,omitempty"`  // in the offer: SHA-256 of the caller's nonce
	Nonce   []byte `json:"nonce,omitempty"`   // in the answer: the callee's
	Confirm []byte `json:"confirm,omitempty"` // in the answer: the PAKE's tag

	// In the answer: the first of the callee's candidates, sealed, so that the caller need
	// not wait for the list of them. They are in that, too.
	Candidates []json.RawMessage `json:"candidates,omitempty"`
}

// A note is what is sealed: a candidate, the end of them (an empty candidate), or the
// caller's nonce.
type note struct {
	*webrtc.ICECandidateInit
	Nonce []byte `json:"nonce,omitempty"`
}

// Sizes in bytes.
const (
	sidSize   = 16
	nonceSize = 16
	keySize   = 32
	padding   = 128 // a sealed note tells its length in steps of this
)

const safetyWords = 4 // of 10.3 bits each

var (
	// errUnproven says that the other side has not shown that it knows the code.
	errUnproven = errors.New("the answer does not prove that its sender knows the code")
	errSealed   = errors.New("it is not sealed with the key of this call")
	errRepeated = errors.New("it came before")
)

// A proposal is the caller's half of a handshake, before there is an answer.
type proposal struct {
	code  Code
	party *pake.Party
	sid   []byte
	nonce []byte
	says  []byte // what the PAKE binds of the offer
}

// propose makes the offer of sdp.
func propose(code Code, sdp string) (*proposal, document, error) {
	p := &proposal{code: code, sid: random(sidSize), nonce: random(nonceSize)}
	var err error
	if p.party, err = begin(pake.Initiator, code, p.sid); err != nil {
		return nil, document{}, err
	}
	d := document{Type: "offer", SDP: sdp, P2PChat: &dialect{V: dialectVersion, SID: p.sid, Share: p.party.Share(), Commit: commitment(p.nonce)}}
	p.says = d.bound()
	return p, d, nil
}

// settle takes the answer, once. The error is errGarbled or errUnproven: nothing of
// the answer may be used then.
func (p *proposal) settle(answer document) (*trust, error) {
	theirs := answer.P2PChat
	if err := theirs.check(); err != nil {
		return nil, err
	}
	key, err := p.party.Finish(p.says, theirs.Share, answer.bound())
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errGarbled, err)
	}
	if !key.Confirms(theirs.Confirm) {
		return nil, errUnproven
	}
	return newTrust(p.code, signaling.Caller, p.sid, key, p.nonce, theirs.Nonce), nil
}

// respond makes the callee's answer with sdp to an offer. The error is errGarbled. That
// the caller knows the code shows later: when it reveals the nonce, see trust.open.
func respond(code Code, offer document, sdp string) (*trust, document, error) {
	theirs := offer.P2PChat
	if err := theirs.check(); err != nil {
		return nil, document{}, err
	}
	party, err := begin(pake.Responder, code, theirs.SID)
	if err != nil {
		return nil, document{}, err
	}
	nonce := random(nonceSize)
	d := document{Type: "answer", SDP: sdp, P2PChat: &dialect{V: dialectVersion, Share: party.Share(), Nonce: nonce}}
	key, err := party.Finish(d.bound(), theirs.Share, offer.bound())
	if err != nil {
		return nil, document{}, fmt.Errorf("%w: %w", errGarbled, err)
	}
	d.P2PChat.Confirm = key.Tag()
	t := newTrust(code, signaling.Callee, theirs.SID, key, nil, nonce)
	t.commit = theirs.Commit
	return t, d, nil
}

func begin(role pake.Role, code Code, sid []byte) (*pake.Party, error) {
	return pake.New(role, []byte(code.Secret), pake.LV([]byte("p2pchat/1"), []byte(code.Room)), sid)
}

// bound is all of a document that the other side must have seen just so. (The share is
// bound by the PAKE itself, and the confirmation confirms itself.)
func (d document) bound() []byte {
	return pake.LV([]byte{dialectVersion}, []byte(d.Type), []byte(d.SDP), d.P2PChat.Commit, d.P2PChat.Nonce)
}

// check tells what no version of this program sends.
func (d *dialect) check() error {
	if d.V != dialectVersion {
		return fmt.Errorf("%w: it is in version %d of the handshake, and this program knows version %d", errGarbled, d.V, dialectVersion)
	}
	return nil
}

// candidates are those that came with the answer: nothing binds them but their seals, so
// there may be any number.
func (d *dialect) candidates() []signaling.Candidate {
	var list []signaling.Candidate
	for _, c := range d.Candidates[:min(len(d.Candidates), maxCandidates)] {
		list = append(list, signaling.Candidate(c))
	}
	return list
}

// A trust is what the two sides have in common once both descriptions are there. It
// seals this side's notes and opens those of the other. It is not for use by several
// goroutines.
type trust struct {
	room   string
	met    string // the code's secret
	side   signaling.Side
	sid    []byte
	secret []byte    // the PAKE's: keys are derived from it
	nonces [2][]byte // of the caller and of the callee, who learns the caller's late
	commit []byte    // to the caller's nonce: what the callee was promised

	sealing, opening cipher.AEAD // this side's key, and the other's
	sealed           uint64      // so many notes
	opened           map[uint64]bool
}

func newTrust(code Code, side signaling.Side, sid []byte, key *pake.Key, callers, callees []byte) *trust {
	t := &trust{room: code.Room, met: code.Secret, side: side, sid: sid, secret: key.Secret(), nonces: [2][]byte{callers, callees}, opened: map[uint64]bool{}}
	t.sealing, t.opening = t.aead(side), t.aead(side.Other())
	return t
}

func (t *trust) aead(of signaling.Side) cipher.AEAD {
	c, err := chacha20poly1305.New(t.derive(nil, of.String()+" candidates", keySize))
	if err != nil {
		panic(err) // of another size of the key alone
	}
	return c
}

// derive makes size bytes for one purpose (HKDF-SHA256, RFC 5869).
func (t *trust) derive(salt []byte, purpose string, size int) []byte {
	b, err := hkdf.Key(sha256.New, t.secret, salt, "p2pchat/1 "+purpose, size)
	if err != nil {
		panic(err) // of a size above 8,160
	}
	return b
}

// seal makes of a note the candidate that goes to the server: a counter of 8 bytes, big-
// endian, and the note's JSON, padded with spaces, under ChaCha20-Poly1305 (RFC 8439)
// with that counter as the nonce.
func (t *trust) seal(n note) (signaling.Candidate, error) {
	text, err := json.Marshal(n)
	if err != nil {
		return nil, err
	}
	if over := len(text) % padding; over > 0 {
		text = append(text, strings.Repeat(" ", padding-over)...)
	}
	b := binary.BigEndian.AppendUint64(nil, t.sealed)
	b = t.sealing.Seal(b, counter(t.sealed), text, t.context(t.side))
	t.sealed++
	return json.Marshal(envelope{b})
}

// open is the inverse of seal at the other side. It opens each note once. The error is
// errSealed, errRepeated, or that of a note which makes no sense.
func (t *trust) open(c signaling.Candidate) (note, error) {
	var e envelope
	if err := json.Unmarshal(c, &e); err != nil || len(e.Sealed) < 8 {
		return note{}, errSealed
	}
	n := binary.BigEndian.Uint64(e.Sealed)
	text, err := t.opening.Open(nil, counter(n), e.Sealed[8:], t.context(t.side.Other()))
	if err != nil {
		return note{}, errSealed
	}
	if t.opened[n] {
		return note{}, errRepeated
	}
	t.opened[n] = true // as many at most as an attempt reads
	var opened note
	if err := json.Unmarshal(text, &opened); err != nil {
		return note{}, err
	}
	if opened.Nonce != nil {
		err = t.reveal(opened.Nonce)
	}
	return opened, err
}

type envelope struct {
	Sealed []byte `json:"sealed"`
}

func counter(n uint64) []byte {
	return binary.BigEndian.AppendUint64(make([]byte, 4, chacha20poly1305.NonceSize), n)
}

// context is what a sealed note of side belongs to: the run of the PAKE is the
// generation, as each attempt has one of its own.
func (t *trust) context(of signaling.Side) []byte {
	return pake.LV([]byte(t.room), []byte(of.String()), t.sid)
}

// reveal takes the caller's nonce, which has to be the one that the offer promised.
func (t *trust) reveal(nonce []byte) error {
	if t.side != signaling.Callee || subtle.ConstantTimeCompare(commitment(nonce), t.commit) != 1 {
		return errors.New("its nonce is not the one that was promised")
	}
	t.nonces[signaling.Caller] = nonce
	return nil
}

// proven tells whether the other side has shown that it has the same key: the callee
// by its answer, the caller by the nonce under a seal.
func (t *trust) proven() bool { return t.nonces[signaling.Caller] != nil }

// words are the safety words: the same on both sides, unless somebody is in the middle.
// Since each side's nonce was fixed before it saw the other's, nobody there can look
// for a key that gives the same words.
func (t *trust) words() []string {
	b := t.fingerprint(safetyWords * 8)
	list := make([]string, safetyWords)
	for i := range list {
		n := binary.BigEndian.Uint64(b[8*i:])
		list[i] = words()[n%uint64(len(words()))]
	}
	return list
}

func (t *trust) fingerprint(size int) []byte {
	return t.derive(pake.LV(t.nonces[:]...), "safety words", size)
}

// next is where the two, and nobody else, can meet again. It follows from the secret with which
// they met and from the key of this meeting: who steals one of them knows nothing of the next.
func (t *trust) next() Code {
	key := t.derive([]byte(t.met), "session", keySize)
	part := func(name string) string {
		b, err := hkdf.Expand(sha256.New, key, name, sidSize)
		if err != nil {
			panic(err) // of a size above 8,160
		}
		return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b))
	}
	return Code{Room: part("room"), Secret: part("secret")}
}

func commitment(nonce []byte) []byte {
	sum := sha256.Sum256(nonce)
	return sum[:]
}

func random(size int) []byte {
	b := make([]byte, size)
	_, _ = rand.Read(b) // never fails
	return b
}
