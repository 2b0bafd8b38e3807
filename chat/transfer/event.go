package transfer

import "crypto/sha256"

// An Event is something that the reader of the conversation is told: one of the types below.
type Event any

type (
	// Offered says that the other side offers a file, or a folder: answer with Accept
	// or Decline. Every offer, of either side, ends in one Received, Sent or Failed.
	Offered struct {
		ID      uint64 // counted by the other side
		From    string
		Name    string // fit for a file: no path, nothing hidden
		Called  string // what the other side calls it, if no file may be called that here
		Size    int64  // bytes
		Folder  bool
		Files   int     // in the folder
		Content Content // of a folder
	}
	// Offering says that this side offers a file, or a folder, since SendFiles.
	Offering struct {
		ID       uint64
		Name     string
		Size     int64
		Folder   bool
		Files    int
		Accepted bool    // by the other side, in an earlier run of this program
		Content  Content // of a folder
	}
	// Progress says how much of an accepted file has arrived: when it begins, or goes on after a loss,
	// and then a few times a second at most. Outgoing: this side sends it, and has counted the ID.
	Progress struct {
		ID          uint64
		Outgoing    bool
		Name        string
		Bytes, Size int64 // Bytes are what the receiver has
		Folder      bool
		Files       int     // in the folder
		Content     Content // of a folder
		Resumed     bool    // the first of a file of the other side that an earlier run has accepted; a folder starts over
	}
	// Received says that a file has arrived, and has its name.
	Received struct {
		ID     uint64
		Name   string // as it was offered
		Path   string // where it is now; ./NAME if NAME begins with a dash, which commands take for a flag
		Called string // what the other side calls it, if its name is another one now
		Size   int64
		SHA256 [sha256.Size]byte

		Folder  bool
		Files   int     // in the folder
		Renamed int     // names in the folder that had to be changed, as Example
		Example string  // OLD is now NEW
		Content Content // of a folder
	}
	// Sent says that the other side has a file, and that its SHA-256 matches.
	Sent struct {
		ID     uint64
		Name   string
		Size   int64
		SHA256 [sha256.Size]byte

		As      string // its name there, if it had to be another one
		Folder  bool
		Files   int     // in the folder
		Renamed int     // names in the folder that had to be changed there
		Content Content // of a folder
	}
	// LeftOut says, before Received or Sent, that a file in a folder could not be sent as it was
	// offered, and why.
	LeftOut struct {
		ID         uint64 // the folder's
		Outgoing   bool
		Name, File string // the folder's, and the file's in it
		Reason     string
		Kept       bool // as much of it as was offered has arrived
	}
	// Failed says that a file was declined or given up, by either side, and why.
	Failed struct {
		ID           uint64
		Outgoing     bool
		Name, Reason string
	}
	// Notice says something a person should know, in a sentence.
	Notice struct{ Text string }
)
