package transfer

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"hash"
	"slices"
	"sync"
	"time"
)

// A Kind is that of a frame about a file: a byte of the chat channel.
type Kind byte

// The kinds of frames about files.
const (
	KindOffer    Kind = 6 // JSON, see Offer; its number is the file's ID
	KindAccept   Kind = 7 // JSON, see note: send it
	KindCancel   Kind = 8 // JSON, see note: declined, or given up
	KindReceived Kind = 9 // JSON, see note: the file has arrived, and has its name
)

// An Offer is what the other side is told of a file before it accepts it.
type Offer struct {
	Name    string  `json:"name"`
	Size    int64   `json:"size"`             // of the file, or of the tar stream
	Folder  bool    `json:"folder,omitempty"` // a tar stream
	Files   int     `json:"files,omitempty"`  // in the folder
	Mode    uint32  `json:"mode,omitempty"`   // permission bits
	Content Content `json:"content,omitzero"` // of a folder

	Modified time.Time `json:"modified,omitzero"` // RFC 3339

	// Called is what the other side calls it, if Name had to be another one: only the receiver knows it.
	Called string `json:"called,omitempty"`
}

// A Content is the size of the files in a folder, without what the tar stream adds. That of only empty files is known to be 0.
type Content struct {
	Bytes int64
	Known bool
}

// IsZero leaves out of an offer what is not known.
func (c Content) IsZero() bool { return !c.Known }

// MarshalJSON writes the number of bytes.
func (c Content) MarshalJSON() ([]byte, error) { return json.Marshal(c.Bytes) }

// UnmarshalJSON reads a number of bytes.
func (c *Content) UnmarshalJSON(text []byte) error {
	err := json.Unmarshal(text, &c.Bytes)
	c.Known = err == nil && string(text) != "null"
	return err
}

// makesSense reports whether the numbers in an offer of a stranger can be those of a file or folder.
func (o Offer) makesSense() bool {
	return o.Size >= 0 && o.Size <= 1<<60 && o.Files >= 0 && o.Content.Bytes >= 0 && o.Content.Bytes <= o.Size && (o.Folder || o.Files == 0 && o.Content.Bytes == 0)
}

// A note is what is said of an offered file later.
type note struct {
	ID     uint64 `json:"id"`
	Of     string `json:"of"` // the conversation that counted the ID: the offering side's
	Reason string `json:"reason,omitempty"`

	// Of a received one:
	As      string `json:"as,omitempty"`      // its name there, unless it is that of the offer
	Renamed int    `json:"renamed,omitempty"` // names in the folder that had to be changed
}

// A Ref names a file of either side.
type Ref struct {
	ID       uint64 `json:"id"`
	Outgoing bool   `json:"outgoing,omitempty"`
}

// A Record is what a later run of the program needs to continue a file.
type Record struct {
	Ref
	Offer    Offer  `json:"offer"`
	Accepted bool   `json:"accepted,omitempty"`
	Dir      string `json:"dir,omitempty"`   // of an accepted one of the other side: the download folder,
	Temp     string `json:"temp,omitempty"`  // and its name there until all of it has arrived
	Path     string `json:"path,omitempty"`  // of one of this side,
	Stamp    string `json:"stamp,omitempty"` // which changes when the file does
	Sum      []byte `json:"sum,omitempty"`   // its SHA-256, once all was sent
	Ended    bool   `json:"-"`               // it has ended: there is nothing to continue
}

// Follow notes in records what a queued frame of this side does to a file: an offer begins one, a
// confirmation or a cancel ends one. It returns false if the frame makes no sense. IDs of this side's
// files were counted in the conversation own.
func Follow(records map[Ref]Record, own string, seq uint64, k Kind, text string) bool {
	switch k {
	case KindOffer:
		r := Record{Ref: Ref{seq, true}}
		if json.Unmarshal([]byte(text), &r.Offer) != nil {
			return false
		}
		if _, known := records[r.Ref]; !known { // a compacted journal has its record before the offer
			records[r.Ref] = r
		}
	case KindReceived, KindCancel:
		var n note
		if json.Unmarshal([]byte(text), &n) != nil {
			return false
		}
		delete(records, Ref{n.ID, n.Of == own})
	case KindAccept:
	}
	return true
}

// A file is one that either side has offered, and that has not ended.
type file struct {
	Offer
	id       uint64
	of       string // the conversation that counted the ID
	outgoing bool
	source   *source // of an outgoing one; nil while only its record is known
	must     bool    // it counts as missed unless the other side gets it

	// owned by the goroutine that sends it: the state moving has one
	hash   hash.Hash
	points []hashPoint // of a folder: after the messages that the receiver may lack

	// guarded by the Manager's mu:
	state    state
	download *download          // of an incoming one, once it is accepted
	earlier  *Record            // of an earlier run, until this one continues the file
	stop     context.CancelFunc // ends the sending; may be nil
	bytes    int64              // that the receiver has
	beyond   int64              // that it holds until what comes before them is there
	arrival  *arrival           // of an incoming one while it has a channel
	told     time.Time          // of the last progress
	sum      *[sha256.Size]byte // of the whole stream, once all was sent
	futile   int                // channels in a row on which nothing moved
	lowered  int                // times that the receiver had less than before
	hashed   int64              // bytes of the source that are in hash
	unhashed bool               // hash lacks what an earlier run has sent
	window   window             // of what is on its way

	turn sync.Mutex // puts what the Host is told of this file in order; guards no state
}

// record, under mu, returns what a later run needs.
func (f *file) record() Record {
	if f.earlier != nil {
		return *f.earlier
	}
	r := Record{Ref: Ref{f.id, f.outgoing}, Offer: f.Offer, Accepted: f.state != offered}
	if f.download != nil {
		r.Dir, r.Temp = f.download.absolute, f.download.temp
	}
	if f.source != nil {
		r.Path, r.Stamp = f.source.path, f.source.stamp
	}
	if f.sum != nil {
		r.Sum = f.sum[:]
	}
	return r
}

// sendable, under mu, returns how many bytes of the stream the receiver can have.
func (f *file) sendable() int64 {
	if f.unhashed {
		return f.Size
	}
	return f.hashed
}

// keep hands the Host the record of f, unless f has ended. It is called in the turn of f.
func (m *Manager) keep(f *file) {
	m.mu.Lock()
	ended := f.state.over()
	r := f.record()
	m.mu.Unlock()
	if !ended {
		m.host.Keep(r)
	}
}

func sortByID(fs []*file) {
	slices.SortFunc(fs, func(a, b *file) int { return cmp.Compare(a.id, b.id) })
}
