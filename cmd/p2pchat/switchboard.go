package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"p2pchat/chat"
	"p2pchat/cmd/p2pchat/internal/contacts"
	"p2pchat/peer"
	"p2pchat/peer/contact"
	"p2pchat/signaling"
	"p2pchat/signaling/lan"
)

const (
	lookAtBook   = 3 * time.Second  // how often listen looks whether another program has changed a contact
	longestRing  = time.Minute      // until a call counts as missed
	mostRings    = 5                // of one contact in ringWindow
	ringWindow   = time.Minute      // see mostRings
	mostProving  = 4                // offers at once whose makers have proven nothing yet
	longestPause = 15 * time.Second // after offers whose makers proved nothing
)

// A listenFace shows the person who calls. The switchboard calls it from one goroutine, except for talk and waits.
type listenFace interface {
	// read reads what the person types until ctx ends, or the person leaves.
	read(ctx context.Context)
	listening(list []contacts.Contact)
	// ringing tells that a contact calls; accepts says that the call is answered without the person.
	ringing(name string, accepts bool)
	// waits tells that such a call waits for the screen, until end is called: one that only shows an ended call gives way.
	waits(name string) (end func())
	ended(name string, why ringEnd)
	note(text string)
	// letter shows a message, or that one was delivered, of a letter from a contact.
	letter(name string, e chat.Event) error
	// talk holds a call, which has the screen until it ends. It calls free if the contact can call again while the screen stays.
	talk(ctx context.Context, o talkOptions, free func()) error
}

// A ringEnd says how a ring ended.
type ringEnd string

const (
	ringAnswered ringEnd = "answered"
	ringDeclined ringEnd = "declined"
	ringMissed   ringEnd = "missed" // the person did not decide, or the contact hung up
)

// A switchboard waits for all contacts. Its loop owns the lines; other goroutines post what the loop is to do.
type switchboard struct {
	o     *listenOptions
	book  *contacts.Book
	seed  []byte
	face  listenFace
	notes io.Writer // stderr
	leave context.CancelFunc

	letters *letterReader
	lan     lanWatch
	posts   chan func()
	quit    <-chan struct{} // closed when the loop takes no more posts
	over    chan struct{}   // closed when the loop has ended
	proving chan struct{}   // a place for each contact that is to prove who it is
	screen  chan struct{}   // the place of the call that has the screen
	wg      sync.WaitGroup

	// owned by run:
	lines     map[string]*line          // by the contact's ID
	listeners map[string]*peer.Listener // by server
	version   string                    // of the book, when it was read
	unread    string                    // the last error of reading it
	shown     string                    // what the face shows of the contacts
}

func newSwitchboard(o *listenOptions, book *contacts.Book, seed []byte, notes io.Writer, leave context.CancelFunc) *switchboard {
	s := &switchboard{
		o: o, book: book, seed: seed, notes: notes, leave: leave, posts: make(chan func(), 64), over: make(chan struct{}), proving: make(chan struct{}, mostProving), screen: make(chan struct{}, 1),
		lines: map[string]*line{}, listeners: map[string]*peer.Listener{},
	}
	s.letters = newLetterReader(s)
	s.lan.fails, s.lan.proving = map[string]bool{}, make(chan struct{}, mostProving)
	return s
}

// run waits for calls until ctx ends.
func (s *switchboard) run(ctx context.Context) error {
	defer s.wg.Wait()
	defer close(s.over)
	s.quit = ctx.Done()
	tick := time.NewTicker(lookAtBook)
	defer tick.Stop()
	s.lan.found = func(id, server string) { s.tryPost(func() { s.offered(ctx, id, server) }) }
	s.reload(ctx)
	s.wg.Go(func() { s.face.read(ctx) })
	if !s.o.noOutbox { // a letter that was read would come again
		s.wg.Go(func() { s.letters.run(ctx) })
	}
	for {
		select {
		case do := <-s.posts:
			do()
		case <-tick.C:
			if s.book.Version() != s.version {
				s.reload(ctx)
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// post lets the loop do something, soon.
func (s *switchboard) post(do func()) {
	select {
	case s.posts <- do:
	case <-s.quit:
	}
}

// tryPost lets the loop do something, soon, unless it has much else to do.
func (s *switchboard) tryPost(do func()) {
	select {
	case s.posts <- do:
	default:
	}
}

// reload reads the contacts, and waits for those who may call.
func (s *switchboard) reload(ctx context.Context, renewed ...string) {
	s.version = s.book.Version()
	list, err := s.book.List()
	if err != nil && err.Error() != s.unread {
		s.face.note(flatten(err))
	}
	if s.unread = ""; err != nil {
		s.unread = err.Error()
	}
	known := map[string]bool{}
	for _, c := range list {
		known[c.ID] = true
		if l := s.lines[c.ID]; l != nil {
			l.Contact = c
		} else {
			s.lines[c.ID] = &line{Contact: c}
		}
	}
	for id := range s.lines {
		if !known[id] {
			delete(s.lines, id)
		}
	}
	if shown := namesAndPolicies(list); shown != s.shown && !s.talks() { // what was read of letters is in the book, too
		s.shown = shown
		s.face.listening(list)
	}
	s.wait(ctx, renewed...)
	s.watchLAN(ctx)
}

// talks reports whether a call has the lines or objects of the input and output: the list waits for its end.
func (s *switchboard) talks() bool {
	if s.o.full {
		return false
	}
	for _, l := range s.lines {
		if l.state == lineTalking && s.o.program == "" {
			return true
		}
	}
	return false
}

// namesAndPolicies returns what a face shows of the contacts.
func namesAndPolicies(list []contacts.Contact) string {
	var b strings.Builder
	fmt.Fprintln(&b, len(list))
	for _, c := range list {
		fmt.Fprintln(&b, c.Name, c.Ring)
	}
	return b.String()
}

// wait makes the Listeners wait for those contacts who may call. Offers of those who are renewed count as new.
func (s *switchboard) wait(ctx context.Context, renewed ...string) {
	at := map[string]map[string]contact.Keys{}
	for server := range s.listeners {
		at[server] = map[string]contact.Keys{}
	}
	for id, l := range s.lines {
		if l.Ring == contacts.RingRefuse {
			continue
		}
		if at[l.Server] == nil {
			at[l.Server] = map[string]contact.Keys{}
		}
		at[l.Server][id] = l.Keys // whatever its state: else the server would see which rooms are of one contact
	}
	for server, keys := range at {
		if s.listeners[server] == nil {
			s.listenAt(ctx, server)
		}
		if l := s.listeners[server]; l != nil {
			l.Set(keys, renewed...)
		}
	}
}

// listenAt starts to listen at a server.
func (s *switchboard) listenAt(ctx context.Context, server string) {
	at := s.o.at(server)
	trouble := func(err error) { s.post(func() { s.face.note(at.serverNotice(err, false, false)) }) }
	outage := func(err error) {
		s.post(func() {
			s.lan.fails[server] = err != nil
			s.watchLAN(ctx)
			s.face.note(s.outageNotice(at, err))
		})
	}
	client, _, err := at.clientAt(signaling.Config{Patience: signaling.Forever, OnOutage: outage, OnClock: func(ahead time.Duration) {
		if text := clockNotice(server, ahead); text != "" {
			s.post(func() { s.face.note(text) })
		}
	}})
	if err != nil { // the file of a contact names another server than this program has written
		s.face.note(flatten(err))
		return
	}
	l := peer.NewListener(client, peer.ListenConfig{
		Seed: s.seedAt(server), Log: s.o.logger, Trouble: trouble,
		Offered: func(id string) { s.wg.Go(func() { s.post(func() { s.offered(ctx, id, "") }) }) },
	})
	s.listeners[server] = l
	s.wg.Go(func() {
		l.Run(ctx)
		client.CloseIdle()
	})
}

// seedAt returns the seed from which decoys at a server follow.
func (s *switchboard) seedAt(server string) []byte { return append([]byte(server), s.seed...) }

// outageNotice returns what a person should know of a server that does not answer, or answers again.
func (s *switchboard) outageNotice(at talkOptions, err error) string {
	text := at.serverNotice(err, false, false)
	if err != nil && s.o.lan == auto && s.seeksOnLAN(at.server) && len(lan.Addresses()) > 0 {
		text += ". Looking for calls on your local network, too."
	}
	return text
}

// offered finds out whether a contact calls in whose rooms there is an offer, or who is found at a server of the local network. An
// offer does not wait while the contact is to prove at such a server that it calls: a neighbour may have announced it.
func (s *switchboard) offered(ctx context.Context, id, server string) {
	l := s.lines[id]
	if l == nil || ctx.Err() != nil {
		return
	}
	if server == "" && l.endTry != nil {
		l.endTry() // the offer is told again after it
		return
	}
	if l.state != lineWaiting || server != "" && time.Now().Before(l.lanAfter) {
		return
	}
	l.state = lineProving
	trying, end := context.WithCancel(ctx)
	if server != "" {
		l.endTry = end
	}
	var once sync.Once
	rest := func(pause func(*line) time.Duration) {
		once.Do(func() { s.post(func() { s.rest(ctx, id, pause) }) })
	}
	s.wg.Go(func() {
		defer end()
		rest(s.receive(ctx, trying, id, server, func() { rest((*line).pauseAfterRing) }))
	})
}

// receive receives a call of a contact, if it proves who it is until trying ends, and returns when the call is over: with what the loop then
// decides how long to pause. It calls free if the contact can call again before: the screen of an ended call may stay for hours.
func (s *switchboard) receive(ctx, trying context.Context, id, server string, free func()) (pause func(*line) time.Duration) {
	places := s.proving
	if server != "" {
		places = s.lan.proving
	}
	select {
	case places <- struct{}{}:
	case <-trying.Done():
		return (*line).pauseAfterTry
	}
	call, err := s.o.receiveCall(trying, s.book, id, server)
	<-places
	if err != nil {
		s.o.logger.Info("an offer in a contact's room led to no call", "why", err)
		if server != "" && isUnproven(err) && trying.Err() == nil {
			s.lan.refute(server)
		}
		s.letters.await(trying, id)
		if server != "" {
			return (*line).pauseAfterTry
		}
		return func(l *line) time.Duration {
			if isUnproven(err) {
				l.failures++
			}
			return min(time.Second<<min(l.failures, 10), longestPause)
		}
	}
	defer call.close()
	s.ring(ctx, id, call, free)
	return (*line).pauseAfterRing
}

// rest lets a line pause before the contact's next call.
func (s *switchboard) rest(ctx context.Context, id string, pause func(*line) time.Duration) {
	l := s.lines[id]
	if l == nil {
		return
	}
	l.state, l.endTry = linePaused, nil
	long := pause(l)
	if len(l.rings) >= mostRings && !l.warned {
		l.warned = true
		s.face.note(fmt.Sprintf("%s%s calls again and again: listen rings at most %d times a minute for one contact.", contactMark, l.Name, mostRings))
	}
	s.wg.Go(func() {
		select {
		case <-time.After(long):
		case <-ctx.Done():
			return
		}
		s.post(func() {
			if l := s.lines[id]; l != nil {
				l.state = lineWaiting
			}
			s.reload(ctx, id) // the call has changed the keys
		})
	})
}
