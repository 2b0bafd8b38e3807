package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"p2pchat/chat"
	"p2pchat/chat/screen"
	"p2pchat/peer"
	"p2pchat/signaling"
)

// Without --outbox, each conversation has an outbox in the folder of the user's state, until its goodbye: one file a contact, and one
// for each conversation with a code.

// oldest is how long an outbox that no run continues is kept.
const oldest = 30 * 24 * time.Hour

// outboxExtension is that of an outbox in the folder of the user's state.
const outboxExtension = ".outbox"

// An earlierTalk is a conversation with a code that an earlier run did not end.
type earlierTalk struct {
	path    string
	point   resumePoint
	waiting int    // messages that were not delivered
	files   int    // of either side, that have not ended
	with    string // the name that the other side gave itself; may be empty
	at      time.Time
}

// openDefault opens the outbox of a conversation whose person named none. It prefers to go on with an earlier conversation, if the
// person agrees. A disk that takes no outbox keeps no one from calling.
func (o *talkOptions) openDefault(ctx context.Context, text string, std stdio) error {
	folder := statePath("outboxes")
	if o.noOutbox || folder == "" {
		if o.resume {
			return &usageError{err: errors.New("--resume: without an outbox there is nothing to go on with")}
		}
		return nil
	}
	if name, isContact := strings.CutPrefix(text, contactMark); isContact {
		if err := o.holdContact(ctx, name, std.err); err != nil { // first: a program that reads its letters has the outbox, too
			return err
		}
		return o.openIn(folder, o.keeper.id())
	}
	was, open := o.earlier(folder, text)
	switch {
	case was != nil:
		on, err := o.goOn(ctx, *was, std)
		if err != nil {
			return err
		}
		if on {
			return o.continueEarlier(*was)
		}
	case o.resume && open != nil:
		return &usageError{err: errors.New("--resume: another p2pchat has the conversation open"), hint: "use that program, or leave --resume out to begin another one"}
	case o.resume:
		return &usageError{err: errors.New("--resume: there is no conversation to go on with"), hint: "leave --resume out to begin one"}
	}
	if err := o.mentionRunning(open, text); err != nil {
		return err
	}
	return o.openIn(folder, fmt.Sprintf("%d-%d", time.Now().UnixNano(), os.Getpid()))
}

// continueEarlier opens the outbox of an earlier conversation, unless another program was faster: two may have asked the person.
func (o *talkOptions) continueEarlier(was earlierTalk) error {
	o.outbox.own = true
	err := o.outbox.open(was.path, o.side)
	if errors.Is(err, chat.ErrJournalInUse) {
		return &usageError{err: fmt.Errorf("another p2pchat already goes on with %s", was), hint: "use that program, or run this command again to begin another conversation"}
	}
	return err
}

// forgetOutbox removes the outbox of the contact with that ID, if there is one, and what has arrived of the contact's files. It names in
// notes what it cannot remove of these.
func forgetOutbox(id string, notes io.Writer) error {
	folder := statePath("outboxes")
	if folder == "" {
		return nil
	}
	path := filepath.Join(folder, id+outboxExtension)
	if _, err := os.Stat(path); err != nil { // OpenJournal would make the file
		return gone(err)
	}
	journal, err := chat.OpenJournal(path)
	if err != nil { // damaged: it names no files
		return gone(os.Remove(path))
	}
	if left := removeKept(journal); left != "" {
		writeNotices(notes, left)
	}
	return journal.End(false)
}

// gone returns err unless it says that there is no such file.
func gone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// openIn opens the outbox of that name, or warns that there is none.
func (o *talkOptions) openIn(folder, name string) error {
	err := os.MkdirAll(folder, 0o700)
	if err == nil {
		err = o.outbox.open(filepath.Join(folder, name+outboxExtension), o.side)
	}
	if o.outbox.own = true; err != nil {
		o.warn("Undelivered messages are not kept when this program ends: %s", strings.TrimPrefix(err.Error(), "--outbox: "))
		o.outbox = outbox{}
	}
	return nil
}

// openOutbox opens the outbox of the conversation with the contact of that ID.
func (o *talkOptions) openOutbox(id string) error {
	folder := statePath("outboxes")
	if o.noOutbox || folder == "" {
		return nil
	}
	return o.openIn(folder, id)
}

// earlier returns the newest conversation with a code that an earlier run did not end and this side can go on with, of any code if text
// is empty, and one such that another program of this side has open. It removes outboxes in which there is nothing, or that are too old.
func (o *talkOptions) earlier(folder, text string) (newest, open *earlierTalk) {
	var all []earlierTalk
	for _, path := range outboxesOfCodes(folder) {
		info, err := os.Stat(path)
		if err != nil {
			continue
		}
		journal, err := chat.OpenJournal(path)
		if err != nil { // in use, or damaged
			if errors.Is(err, chat.ErrJournalInUse) {
				open = o.moreImportant(open, o.running(path, text), text)
			}
			continue
		}
		was := earlierTalk{path: path, waiting: journal.Waiting(), files: journal.Files(), with: journal.Peer(), at: info.ModTime()}
		resumption, _ := journal.Resumption()
		known := resumption == "" || json.Unmarshal([]byte(resumption), &was.point) == nil // "": a caller had no code yet
		kept := known && (was.waiting > 0 || was.files > 0 || was.point.Again.Rendezvous != (peer.Code{})) && time.Since(was.at) < oldest
		closed := o.endLook(journal, was, kept)
		if closed == nil && kept && was.point.fits(o.side) && was.isFor(text) {
			all = append(all, was)
		}
	}
	if len(all) == 0 {
		return nil, open
	}
	last := slices.MaxFunc(all, func(a, b earlierTalk) int { return cmp.Compare(a.at.UnixNano(), b.at.UnixNano()) })
	return &last, open
}

// outboxesOfCodes returns the paths of the outboxes in folder of conversations with a code.
func outboxesOfCodes(folder string) []string {
	paths, _ := filepath.Glob(filepath.Join(folder, "*-*"+outboxExtension)) // the pattern is correct
	return paths
}

// forgetEnded removes the outboxes of earlier runs that were killed, and whose person has met the same program of the other side again in
// another conversation, which has ended: the other side's has that ID. What waits to be sent stays.
func forgetEnded(folder, peer string) {
	if peer == "" {
		return
	}
	for _, path := range outboxesOfCodes(folder) {
		info, err := os.Stat(path)
		if err != nil {
			continue
		}
		journal, err := chat.OpenJournal(path)
		if err != nil { // in use, or damaged
			continue
		}
		ended := journal.PeerConversation() == peer && journal.Waiting()+journal.Files() == 0
		_ = journal.End(!ended)                              // else it is offered once more
		_ = os.Chtimes(path, info.ModTime(), info.ModTime()) // as endLook does
	}
}

// endLook closes the outbox of a conversation that was only looked at, and removes it and the parts of its files unless it is kept.
func (o *talkOptions) endLook(journal *chat.Journal, e earlierTalk, kept bool) error {
	if !kept {
		o.note(removeKept(journal))
		return journal.End(false)
	}
	err := journal.End(true)
	_ = os.Chtimes(e.path, e.at, e.at) // a look is no use of it: the newest one stays the newest, and old ones expire
	return err
}

// running returns the conversation in the outbox at path, which another program has open, if it is of this side and a person who gave text
// may mean it.
func (o *talkOptions) running(path, text string) *earlierTalk {
	was := earlierTalk{path: path}
	_, resumption, err := chat.PeekJournal(path)
	if err != nil || json.Unmarshal([]byte(resumption), &was.point) != nil || was.point.Again.Side != o.side || !was.isFor(text) {
		return nil
	}
	return &was
}

// mentionRunning tells a person who begins a conversation that another program of this side has one, if open is not nil. It returns a
// usageError if that one would lose its room.
func (o *talkOptions) mentionRunning(open *earlierTalk, text string) error {
	switch {
	case open == nil:
	case o.wouldTakeOver(*open, text):
		return &usageError{
			err:  fmt.Errorf("another 'p2pchat call' on this machine already waits in %s", open.where()),
			hint: "to answer it: p2pchat answer" + o.arguments(open.point.Again.Typed) + ". To keep two calls apart, name them: p2pchat call standup",
		}
	case o.prompts: // a script may hold several
		o.warn("Another 'p2pchat %s' is running on this machine. This one begins a conversation of its own.", command(o.side))
	}
	return nil
}

// moreImportant returns that of two running conversations, each perhaps nil, which this one would take the room from.
func (o *talkOptions) moreImportant(one, other *earlierTalk, text string) *earlierTalk {
	if other == nil || one != nil && o.wouldTakeOver(*one, text) {
		return one
	}
	return other
}

// wouldTakeOver reports whether a call of a person who gave text would take the room in which another program of the same person waits. A
// caller may do so after a program was killed, but that one runs.
func (o *talkOptions) wouldTakeOver(open earlierTalk, text string) bool {
	again := open.point.Again
	sameCode := text != "" || again.Typed == peer.Code{Room: signaling.Lobby} && onLoopback(o.server) && o.lan != always
	return o.side == signaling.Caller && sameCode && open.point.Server == o.server && again.Rendezvous == (peer.Code{})
}

// isFor reports whether a person who gave text may mean this conversation.
func (e earlierTalk) isFor(text string) bool {
	if text == "" {
		return true
	}
	text, _ = pasted(text, e.point.Server)
	code, err := peer.ParseCode(text)
	return err == nil && code == e.point.Again.Typed
}

// String says which conversation it is, and what waits in it. A room can have the name of a contact.
func (e earlierTalk) String() string {
	with, left := "", ""
	if e.with != "" {
		with = " with " + screen.Clean(e.with)
	}
	var all []string
	for _, n := range []struct {
		n    int
		what string
	}{{e.waiting, "message"}, {e.files, "file"}} {
		switch {
		case n.n == 1:
			all = append(all, "1 "+n.what)
		case n.n > 1:
			all = append(all, fmt.Sprintf("%d %ss", n.n, n.what))
		}
	}
	if len(all) > 0 {
		left = ", " + strings.Join(all, " and ") + " undelivered"
	}
	return fmt.Sprintf("the conversation of %s%s (%s%s)", e.at.Local().Format("Jan 2 15:04"), with, e.where(), left)
}

// where says in which room the two meet.
func (e earlierTalk) where() string {
	switch e.point.Again.Typed {
	case peer.Code{}:
		return "no code yet"
	case peer.Code{Room: signaling.Lobby}:
		return "the lobby"
	}
	return "room " + screen.Clean(e.point.Again.Typed.Room)
}

// drop removes the conversation, and what has arrived of its files, unless another program has it.
func (o *talkOptions) drop(e earlierTalk) error {
	journal, err := chat.OpenJournal(e.path)
	if err != nil {
		return &usageError{err: fmt.Errorf("%s cannot be dropped: %w", e, err)}
	}
	o.note(removeKept(journal))
	return journal.End(false)
}

// removeKept removes what has arrived of the files of a conversation that is forgotten. It returns a notice of what it cannot remove, or "".
func removeKept(journal *chat.Journal) string {
	if err := journal.RemoveKept(); err != nil {
		return "A part of a file that no conversation needs any more could not be deleted: " + flatten(err)
	}
	return ""
}

// goOn asks the person whether to continue an earlier conversation. Where no one can be asked, --resume says so.
func (o *talkOptions) goOn(ctx context.Context, was earlierTalk, std stdio) (bool, error) {
	switch {
	case o.resume:
		return true, nil
	case !o.prompts:
		o.warn("%s was not ended. To go on with it: p2pchat %s --resume", screen.Capital(was.String()), command(o.side))
		return false, nil
	}
	for {
		fmt.Fprintf(std.err, "Go on with %s? [Enter/n/drop] ", was)
		answer, err := readLine(ctx, std)
		switch answer = strings.ToLower(strings.TrimSpace(answer)); {
		case errors.Is(err, io.EOF): // Ctrl-D
			return false, errInterrupted
		case err != nil:
			return false, err
		case answer == "", answer == "y", answer == "yes":
			return true, nil
		case answer == "n", answer == "no":
			return false, nil
		case answer == "drop":
			return false, o.drop(was)
		}
		fmt.Fprintln(std.err, "Enter goes on with it. n begins another conversation, and keeps it for later. drop forgets it, and what was not delivered, and deletes the parts of files that have arrived.")
	}
}

// maxAnswer is how many bytes of an answer to a question readLine returns; it reads on to the end of the line.
const maxAnswer = 64

// readLine reads a line byte by byte, because the screen reads the rest of the input. It returns errInterrupted if ctx ends.
func readLine(ctx context.Context, std stdio) (string, error) {
	type result struct {
		line string
		err  error
	}
	read := make(chan result, 1)
	go func() { // not waited for: a read of stdin cannot be interrupted
		var line []byte
		for b := make([]byte, 1); ; {
			n, err := std.in.Read(b)
			if err != nil || n > 0 && b[0] == '\n' {
				read <- result{string(line), err}
				return
			}
			if len(line) < maxAnswer {
				line = append(line, b[:n]...)
			}
		}
	}()
	select {
	case r := <-read:
		return r.line, r.err
	case <-ctx.Done():
		return "", errInterrupted
	}
}
