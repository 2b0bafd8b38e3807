package peer

import (
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/mlkem"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pion/webrtc/v4"
	"golang.org/x/crypto/chacha20poly1305"

	"p2pchat/peer/pake"
	"p2pchat/signaling"
)

// The handshake rides on the documents that the two sides swap anyway:
//
//	offer       "p2pchat": {v, sid, share, kem, commit, firstCheck, unread}
//	answer      "p2pchat": {v, share, kem, nonce, confirm, candidates, firstCheck}
//	candidates  {"sealed"}: of the caller's the first one reveals its nonce
//
// The PAKE's key binds both SDPs, and with them the fingerprints. The signaling server, which
// carries these documents, cannot change them unnoticed, and learns no address. All other keys follow
// from the PAKE's key and from that of ML-KEM-768 (FIPS 203) together: a quantum computer that recovers the first
// from a recording does not have the second.
const dialectVersion = 2

// A document is the part of a description that this package reads and writes.
type document struct {
	Type    string   `json:"type"`
	SDP     string   `json:"sdp"`
	P2PChat *dialect `json:"p2pchat,omitempty"` // nil: of a plain WebRTC program

	// of the other side's document, see parseDescription:
	promised   fingerprint
	candidates []candidate // of a plain program: those that were in its SDP
}

// foreign reports whether the document is of a plain WebRTC program.
func (d document) foreign() bool { return d.P2PChat == nil }

// A dialect is one side's part of the handshake. Bytes are in base64.
type dialect struct {
	V       int    `json:"v"`
	SID     []byte `json:"sid,omitempty"`     // in the offer: names the run of the PAKE
	Share   []byte `json:"share"`             // of the PAKE
	KEM     []byte `json:"kem"`               // of ML-KEM-768: in the offer the encapsulation key, in the answer the ciphertext
	Commit  []byte `json:"commit,omitempty"`  // in the offer: SHA-256 of the caller's nonce
	Nonce   []byte `json:"nonce,omitempty"`   // in the answer: the callee's
	Confirm []byte `json:"confirm,omitempty"` // in the answer: the PAKE's tag

	// In the answer: the first of the callee's candidates, sealed, so that the caller need
	// not wait for the list of candidates. They are in the list, too.
	Candidates []json.RawMessage `json:"candidates,omitempty"`

	// In the offer: the caller can use the pair of candidates on which the first check arrives. In the answer: both
	// sides use it (pionnet.FirstCheck). The PAKE does not bind it: a server that changes it delays the call or fails
	// one attempt, as it does by dropping a document. The next attempt waits for nominations.
	FirstCheck bool `json:"firstCheck,omitempty"`

	// This side can carry files over QUIC, see fastPath. Nothing binds it: a server that changes it makes files slower, or
	// the first one begin a second later.
	QUIC bool `json:"quic,omitempty"`

	// This side can move the connection to a better path, see mover. Nothing binds it: a server that changes it keeps the two on
	// the path that they have, or makes the move fail.
	Moves bool `json:"moves,omitempty"`

	// This side can renew the connection, see renewLabel. Nothing binds it, either.
	Renews bool `json:"renews,omitempty"`

	// In the offer: it replaces the one that the caller's program left behind when it was killed, and the program reads no answer to
	// that. So its callee was not turned down, and answers again. Nothing binds it: each answer counts as a guess on both sides,
	// see guess, and a server that adds it can as well make up the offers, and the answers.
	Unread bool `json:"unread,omitempty"`
}

// A sealedNote is the content of a seal: a candidate, the end of the candidates (an empty one), or the
// caller's nonce.
type sealedNote struct {
	*webrtc.ICECandidateInit
	Nonce []byte `json:"nonce,omitempty"`
}

// Sizes in bytes.
const (
	sidSize   = 16
	nonceSize = 16
	keySize   = 32
	padding   = 128 // the length of a sealed note shows in steps of this
)

const safetyWords = 4 // of 10.3 bits each

var (
	errUnproven = errors.New("the answer does not prove that its sender knows the code")
	errSealed   = errors.New("it is not sealed with the key of this call")
	errRepeated = errors.New("it came before")
)

// A proposal is the caller's half of a handshake, before there is an answer.
type proposal struct {
	code  Code
	party *pake.Party
	kem   *mlkem.DecapsulationKey768
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
	if p.kem, err = mlkem.GenerateKey768(); err != nil {
		return nil, document{}, err
	}
	d := document{Type: "offer", SDP: sdp, P2PChat: &dialect{V: dialectVersion, SID: p.sid, Share: p.party.Share(), KEM: p.kem.EncapsulationKey().Bytes(), Commit: commitment(p.nonce)}}
	p.says = d.bound()
	return p, d, nil
}

// accept takes the answer, once. It returns errGarbled or errUnproven if nothing of
// the answer may be used.
func (p *proposal) accept(answer document) (*sessionKeys, error) {
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
	shared, err := p.kem.Decapsulate(theirs.KEM)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errGarbled, err)
	}
	return newSessionKeys(p.code, signaling.Caller, p.sid, slices.Concat(key.Secret(), shared), p.nonce, theirs.Nonce), nil
}

// respond makes the callee's answer with sdp to an offer. It returns errGarbled if the offer makes no sense. The
// caller proves later that it knows the code: when it reveals the nonce, see sessionKeys.open.
func respond(code Code, offer document, sdp string) (*sessionKeys, document, error) {
	theirs := offer.P2PChat
	if err := theirs.check(); err != nil {
		return nil, document{}, err
	}
	kem, err := mlkem.NewEncapsulationKey768(theirs.KEM)
	if err != nil {
		return nil, document{}, fmt.Errorf("%w: %w", errGarbled, err)
	}
	party, err := begin(pake.Responder, code, theirs.SID)
	if err != nil {
		return nil, document{}, err
	}
	nonce := random(nonceSize)
	shared, ciphertext := kem.Encapsulate()
	d := document{Type: "answer", SDP: sdp, P2PChat: &dialect{V: dialectVersion, Share: party.Share(), KEM: ciphertext, Nonce: nonce}}
	key, err := party.Finish(d.bound(), theirs.Share, offer.bound())
	if err != nil {
		return nil, document{}, fmt.Errorf("%w: %w", errGarbled, err)
	}
	d.P2PChat.Confirm = key.Tag()
	k := newSessionKeys(code, signaling.Callee, theirs.SID, slices.Concat(key.Secret(), shared), nil, nonce)
	k.commit = theirs.Commit
	return k, d, nil
}

func begin(role pake.Role, code Code, sid []byte) (*pake.Party, error) {
	return pake.New(role, []byte(code.Secret), pake.LV([]byte("p2pchat/2"), []byte(code.Room)), sid)
}

// bound returns the parts of a document that the other side must have seen unchanged. (The PAKE itself
// binds the share, and the confirmation confirms itself.)
func (d document) bound() []byte {
	return pake.LV([]byte{dialectVersion}, []byte(d.Type), []byte(d.SDP), d.P2PChat.KEM, d.P2PChat.Commit, d.P2PChat.Nonce)
}

// check returns errGarbled if no version of this program sends such a dialect.
func (d *dialect) check() error {
	if d.V != dialectVersion {
		return fmt.Errorf("%w: it is in version %d of the handshake, and this program knows version %d", errGarbled, d.V, dialectVersion)
	}
	return nil
}

// candidates returns those that came with the answer. Only their seals bind them, so
// there may be any number.
func (d *dialect) candidates() []signaling.Candidate {
	var list []signaling.Candidate
	for _, c := range d.Candidates[:min(len(d.Candidates), maxCandidates)] {
		list = append(list, signaling.Candidate(c))
	}
	return list
}

// sessionKeys are the keys that the two sides share once both descriptions are there. They
// seal this side's notes and open those of the other side. They are not for use by several
// goroutines.
type sessionKeys struct {
	code   Code
	side   signaling.Side
	sid    []byte
	secret []byte    // the secrets of the PAKE and of ML-KEM, joined: 96 bytes, from which all keys are derived
	nonces [2][]byte // of the caller and of the callee, who learns the caller's late
	commit []byte    // the callee was promised a nonce with this hash

	sealing, opening cipher.AEAD     // this side's key, and the other's
	sealed           uint64          // count of notes
	opened           map[uint64]bool // notes, by their counter
}

func newSessionKeys(code Code, side signaling.Side, sid, secret, callers, callees []byte) *sessionKeys {
	k := &sessionKeys{code: code, side: side, sid: sid, secret: secret, nonces: [2][]byte{callers, callees}, opened: map[uint64]bool{}}
	k.sealing, k.opening = k.aead(side), k.aead(side.Other())
	return k
}

func (k *sessionKeys) aead(of signaling.Side) cipher.AEAD {
	c, err := chacha20poly1305.New(k.derive(nil, of.String()+" candidates", keySize))
	if err != nil {
		panic(err) // only for a key of another size
	}
	return c
}

// derive makes size bytes for one purpose (HKDF-SHA256, RFC 5869).
func (k *sessionKeys) derive(salt []byte, purpose string, size int) []byte {
	b, err := hkdf.Key(sha256.New, k.secret, salt, "p2pchat/2 "+purpose, size)
	if err != nil {
		panic(err) // only for a size above 8,160
	}
	return b
}

// quicSeed returns the seed of the key with which a side proves on the fast path that it is in this call.
func (k *sessionKeys) quicSeed(of signaling.Side) [keySize]byte {
	return [keySize]byte(k.derive(nil, of.String()+" quic", keySize))
}

// seal returns a note as the candidate that goes to the server: a counter of 8 bytes, big-
// endian, and the note's JSON, padded with spaces, under ChaCha20-Poly1305 (RFC 8439)
// with that counter as the nonce.
func (k *sessionKeys) seal(n sealedNote) (signaling.Candidate, error) {
	text, err := json.Marshal(n)
	if err != nil {
		return nil, err
	}
	if over := len(text) % padding; over > 0 {
		text = append(text, strings.Repeat(" ", padding-over)...)
	}
	b := binary.BigEndian.AppendUint64(nil, k.sealed)
	b = k.sealing.Seal(b, counter(k.sealed), text, k.context(k.side))
	k.sealed++
	return json.Marshal(envelope{b})
}

// open opens a note that the other side has sealed, once. It returns errSealed if the other side has not,
// errRepeated for a note that was opened before, and another error if the note makes no sense.
func (k *sessionKeys) open(c signaling.Candidate) (sealedNote, error) {
	var e envelope
	if err := json.Unmarshal(c, &e); err != nil || len(e.Sealed) < 8 {
		return sealedNote{}, errSealed
	}
	n := binary.BigEndian.Uint64(e.Sealed)
	text, err := k.opening.Open(nil, counter(n), e.Sealed[8:], k.context(k.side.Other()))
	if err != nil {
		return sealedNote{}, errSealed
	}
	if k.opened[n] {
		return sealedNote{}, errRepeated
	}
	k.opened[n] = true // an attempt reads few
	var opened sealedNote
	if err := json.Unmarshal(text, &opened); err != nil {
		return sealedNote{}, err
	}
	if opened.Nonce != nil {
		err = k.reveal(opened.Nonce)
	}
	return opened, err
}

type envelope struct {
	Sealed []byte `json:"sealed"`
}

func counter(n uint64) []byte {
	return binary.BigEndian.AppendUint64(make([]byte, 4, chacha20poly1305.NonceSize), n)
}

// context returns what a sealed note of side is bound to: the room, the side, and the run of the PAKE, of which
// each attempt has its own.
func (k *sessionKeys) context(of signaling.Side) []byte {
	return pake.LV([]byte(k.code.Room), []byte(of.String()), k.sid)
}

// reveal takes the caller's nonce. It returns an error unless the offer promised that nonce.
func (k *sessionKeys) reveal(nonce []byte) error {
	if k.side != signaling.Callee || subtle.ConstantTimeCompare(commitment(nonce), k.commit) != 1 {
		return errors.New("its nonce is not the one that was promised")
	}
	k.nonces[signaling.Caller] = nonce
	return nil
}

// proven reports whether the other side has proven that it has the same key: the callee
// by its answer, the caller by the nonce under a seal.
func (k *sessionKeys) proven() bool { return k.nonces[signaling.Caller] != nil }

// words returns the safety words: the same on both sides, unless an attacker is in the middle.
// Each side's nonce was fixed before it saw the other's, so the attacker cannot search
// for a key that gives the same words.
func (k *sessionKeys) words() []string {
	b := k.fingerprint(safetyWords * 8)
	list := make([]string, safetyWords)
	for i := range list {
		n := binary.BigEndian.Uint64(b[8*i:])
		list[i] = words()[n%uint64(len(words()))]
	}
	return list
}

func (k *sessionKeys) fingerprint(size int) []byte {
	return k.derive(pake.LV(k.nonces[:]...), "safety words", size)
}

// rendezvous returns the code with which only these two can meet again. It follows from the secret with which
// they met and from the key of this meeting: a thief of one of them cannot derive the next.
func (k *sessionKeys) rendezvous() Code {
	key := k.derive([]byte(k.code.Secret), "session", keySize)
	part := func(name string) string {
		b, err := hkdf.Expand(sha256.New, key, name, sidSize)
		if err != nil {
			panic(err) // only for a size above 8,160
		}
		return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b))
	}
	return Code{Room: part("room"), Secret: part("secret")}
}

// contact returns the key from which the keys of contacts follow. It tells nothing of the other keys, nor they of it.
func (k *sessionKeys) contact() []byte {
	return k.derive(pake.LV(k.nonces[:]...), "contact", keySize)
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
