package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"p2pchat/chat"
	"p2pchat/chat/screen"
	"p2pchat/peer"
	"p2pchat/signaling"
)

// stillLost is how long a lost connection may take to come back before the person is told what that
// can mean.
var stillLost = 30 * time.Second

var (
	errNoQuestion = errors.New("no code is needed now")
	errNotLost    = errors.New("there is no lost connection to wait for")
)

// A rendezvous brings the pipes of one conversation. It has one Session at a time: a code that the person
// gives instead of the current one starts the next.
type rendezvous struct {
	o            *talkOptions
	conversation *chat.Conversation
	apart        trouble
	codes        codeReader
	given        chan invite // from the screen

	mu        sync.Mutex // guards what follows
	session   *peer.Session
	client    *signaling.Client
	connected bool      // there was a connection
	waits     bool      // for the next one
	typed     peer.Code // with which the two met
	room      string    // of the last wrong code
	tried     int       // wrong codes in room
	leftBy    error     // why a code was needed when the person left instead
}

// An invite is a code that the person gives. The zero Code asks for a new one.
type invite struct {
	code   peer.Code
	server string // of a pasted link or command; empty: the current one
}

func newRendezvous(o *talkOptions, c *chat.Conversation) *rendezvous {
	m := &rendezvous{o: o, conversation: c, given: make(chan invite, 1), connected: o.kept.met()}
	if m.connected {
		m.typed = o.kept.with.Again.Typed
	}
	return m
}

// open starts the Session of the current code.
func (m *rendezvous) open() error {
	client, err := signaling.NewClient(m.o.server, signaling.Config{Patience: m.o.patience, Key: m.o.key, OnOutage: func(err error) {
		m.apart.set(func(t *trouble) { t.server = err })
		if m.o.outage != nil {
			m.o.outage(err != nil)
		}
		m.conversation.Tell(chat.Notice{Text: m.o.news(err)})
	}})
	if err != nil {
		return &usageError{err: err}
	}
	servers, host, err := chosenICEServers(m.o.iceServers, m.o.server)
	if err != nil {
		return err
	}
	session := m.o.meet(client, m.o.code, peer.Config{
		Resume: m.o.kept.again(), ICEServers: servers, RelayOnly: m.o.relayOnly, Log: m.o.logger,
		Discover: client.ICEServers, Host: host,
		Save:   func(a peer.Resumption) error { return m.o.kept.commit(m.conversation, appointment{m.o.server, a}) },
		Report: m.o.reporter(m.conversation, &m.apart),
	})
	m.mu.Lock()
	defer m.mu.Unlock()
	m.client, m.session = client, session
	return nil
}

// close ends the Session, if there is one.
func (m *rendezvous) close() {
	m.mu.Lock()
	session, client := m.session, m.client
	m.mu.Unlock()
	if session != nil {
		session.Close()
		client.CloseIdle()
	}
}

// next returns the next pipe. As long as the two have not met, it may be that of another code.
func (m *rendezvous) next(ctx context.Context) (chat.Link, error) {
	for {
		link, other, err := m.wait(ctx)
		if why := m.reason(err); why != "" && other == nil && ctx.Err() == nil {
			other = m.ask(ctx, why, err)
		}
		if err == nil || other == nil {
			return link, err
		}
		m.close()
		m.mu.Lock()
		m.o.replace(*other)
		m.mu.Unlock()
		m.o.keep(m.conversation)
		if n := m.conversation.Waiting(); n > 0 {
			m.conversation.Tell(chat.Notice{Text: typedAhead(n)})
		}
		if err := m.open(); err != nil {
			return chat.Link{}, err
		}
	}
}

// typedAhead says that messages which a person may have meant for another code wait for the next one.
func typedAhead(n int) string {
	if n == 1 {
		return "The message that you have typed goes to the person with this code. To drop it, leave now: /quit."
	}
	return fmt.Sprintf("The %d messages that you have typed go to the person with this code. To drop them, leave now: /quit.", n)
}

// wait waits for the Session's next pipe, or until the person gives another code.
func (m *rendezvous) wait(ctx context.Context) (link chat.Link, other *invite, err error) {
	ctx, cancel := context.WithCancel(ctx)
	m.mu.Lock()
	m.waits = true
	session, connected, typed := m.session, m.connected, m.typed
	m.mu.Unlock()
	late, long := errNobody, make(<-chan time.Time)
	if connected {
		timer := time.NewTimer(stillLost)
		defer timer.Stop()
		late, long = errGone, timer.C
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-long:
				m.conversation.Tell(screen.StillLost{After: stillLost, Code: typed.String()})
			case i := <-m.given:
				if (i == invite{code: m.o.code}) { // which is being tried
					continue
				}
				other = &i
				cancel()
				return
			case <-ctx.Done():
				return
			}
		}
	})
	link, pipe, err := m.pipe(ctx, session, late)
	cancel()
	wg.Wait()
	if m.joined(pipe, err) {
		m.conversation.Tell(chat.Notice{Text: "You are connected, so the code that you typed was not used."})
	}
	return link, other, err
}

// joined notes the end of a wait, and reports whether a code that was given came too late for it.
func (m *rendezvous) joined(pipe *peer.Pipe, err error) (late bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.waits = err != nil
	if err != nil {
		return false
	}
	m.connected, m.typed = true, pipe.Resumption().Typed
	select {
	case <-m.given:
		return true
	default:
		return false
	}
}

// pipe waits for the Session's next pipe, and for --wait at most: then the error is late.
func (m *rendezvous) pipe(ctx context.Context, session *peer.Session, late error) (chat.Link, *peer.Pipe, error) {
	if m.o.wait > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, m.o.wait, late)
		defer cancel()
	}
	return m.o.next(ctx, session, &m.apart)
}

// reason says why the person is asked for another code after err; it is empty if nobody is asked. A code
// that was given on the command line ends with its exit code.
func (m *rendezvous) reason(err error) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	calls := m.o.other == "answer"
	switch {
	case !m.o.prompts || m.connected:
	case calls && errors.Is(err, peer.ErrBurnt):
		return "Three wrong codes were tried, so this code no longer works. A stranger may be guessing: send the new code by another route."
	case calls || !m.o.asked:
	case errors.Is(err, peer.ErrWrongCode):
		return m.wrongCode()
	case errors.Is(err, peer.ErrTaken):
		return "This call is over: another person answered it, or the caller hung up."
	}
	return ""
}

// wrongCode counts a wrong code, and says how many attempts the room's code still takes. Others may have
// tried it, too. m.mu is held.
func (m *rendezvous) wrongCode() string {
	if m.room != m.o.code.Room {
		m.room, m.tried = m.o.code.Room, 0
	}
	m.tried++
	switch left := peer.Guesses - m.tried; {
	case left <= 0:
		return fmt.Sprintf("%d wrong attempts: this code no longer works. Ask for a new one.", peer.Guesses)
	case left == 1:
		return "Wrong code. At most 1 attempt left."
	default:
		return fmt.Sprintf("Wrong code. At most %d attempts left.", left)
	}
}

// ask asks the person for another code, because of err. It is nil if they leave.
func (m *rendezvous) ask(ctx context.Context, why string, err error) *invite {
	m.conversation.Tell(screen.CodeWanted{Why: why, Calling: m.o.other == "answer"})
	select {
	case i := <-m.given:
		return &i
	case <-ctx.Done():
		m.mu.Lock()
		defer m.mu.Unlock()
		m.leftBy = err
		return nil
	}
}

// take is screen.Streams.Code. A caller who gives no code gets a new one.
func (m *rendezvous) take(text string) error {
	m.mu.Lock()
	server := m.o.server
	m.mu.Unlock()
	var i invite
	if m.o.other == "call" {
		// The server of this machine has another address for others, which a pasted link may name.
		o := talkOptions{server: server, serverGiven: !onLoopback(server)} // parse changes it
		var err error
		if i.code, err = m.codes.read(text, o.parse); err != nil {
			return err
		}
		if o.server != server {
			i.server = o.server
		}
	}
	m.mu.Lock() // a code that is given once the two have met would end their conversation at the next loss
	defer m.mu.Unlock()
	if m.connected {
		return errNoQuestion
	}
	select {
	case m.given <- i:
		return nil
	default:
		return errNoQuestion
	}
}

// leastRoom is how many digits the room of a generated code has: "2 blue cups" is a message.
const leastRoom = 3

// isCode is screen.Streams.IsCode.
func (m *rendezvous) isCode(text string) bool {
	m.mu.Lock()
	connected, o := m.connected, talkOptions{server: m.o.server}
	m.mu.Unlock()
	code, err := o.parse(text)
	return !connected && err == nil && code.IsGenerated() && len(code.Room) >= leastRoom
}

// again is screen.Streams.Again: a program that was started again knows the typed code, and no other.
func (m *rendezvous) again() error {
	m.mu.Lock()
	session, lost, typed := m.session, m.connected && m.waits, m.typed
	m.mu.Unlock()
	if !lost || session == nil {
		return errNotLost
	}
	if err := session.Reopen(); err != nil {
		return err
	}
	m.conversation.Tell(chat.Notice{Text: "Waiting with the code " + typed.String() + ", too. The other side types: " + m.o.command(typed)})
	return nil
}

// abandoned returns why a code was needed when the person left, if one was.
func (m *rendezvous) abandoned() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.leftBy
}

// replace makes i the one to meet with. The person is asked again if its code is wrong.
func (o *talkOptions) replace(i invite) {
	o.code, o.asked, o.kept.with, o.kept.guessed = i.code, true, nil, false
	if i.server != "" {
		o.server, o.serverGiven, o.patience = i.server, true, 0
	}
}
