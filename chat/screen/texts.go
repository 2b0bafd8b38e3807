package screen

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"p2pchat/chat"
)

// Title says which call this side answers.
func (e Waiting) Title() string {
	switch {
	case e.Contact != "" && e.Answering:
		return "Waiting for " + Clean(e.Contact) + " to call"
	case e.Contact != "":
		return "Calling " + Clean(e.Contact)
	}
	if e.Lobby {
		return "Answering in the lobby"
	}
	return "Answering " + Clean(e.Code)
}

// RingingText tells that name is being asked whether to answer.
func RingingText(name string) string {
	return "It is ringing. Waiting for " + name + " to answer."
}

// VerifiedText says why a call is verified.
func VerifiedText(e chat.Connected) string {
	if e.Contact {
		return "Verified: you have kept each other, so nobody is listening in."
	}
	return "Verified: both sides know the code, so nobody is listening in."
}

// KeepAskedText tells that name wants to keep this side; keep is how the person agrees.
func KeepAskedText(e chat.KeepAsked, name, keep string) string {
	first := map[bool]string{false: "first compare the safety words, then "}[e.Verified]
	return fmt.Sprintf("%s wants to keep you as a contact, to call each other without a code. To agree, %s%s.", name, first, keep)
}

// KeptText tells that the two have kept each other.
func KeptText(e chat.Kept) string {
	if e.Taken != "" {
		return fmt.Sprintf("You have kept each other. You already have a contact called %s, so this one is called %s: p2pchat call @%s, or p2pchat answer @%s. To rename it: p2pchat contacts rename @%s @NAME", e.Taken, e.Name, e.Name, e.Name, e.Name)
	}
	return fmt.Sprintf("You have kept each other. From now on: p2pchat call @%s, or p2pchat answer @%s", e.Name, e.Name)
}

// Text tells an answerer that no call is open, and what that can mean; takes says that the screen takes
// a code.
func (e NoCall) Text(takes bool) string {
	if e.Command != "" {
		code := map[bool]string{true: "type it here", false: "leave and run p2pchat answer CODE"}[takes]
		return fmt.Sprintf("Nobody is calling in the %s yet. If the caller has a code, %s. %s: %s", Clean(e.Room), code, CommandLabel(e.Here), Clean(e.Command))
	}
	return fmt.Sprintf("Nobody is calling in room %s yet. If the caller is already waiting, the code is mistyped or used up: ask for a new one. If this program was started again, ask the other side to type /again.", Clean(e.Room))
}

// Text tells that name has not come back, and what that can mean; again is how the person opens
// the code again, or empty if the person cannot.
func (e StillLost) Text(name, again string) string {
	if e.Server != "" {
		return fmt.Sprintf("%s has not come back for %d s, and %s does not answer: without the server, the two of you cannot meet again. This program keeps trying. Check your network, and whether the server runs.", name, int(e.After.Seconds()), Clean(e.Server))
	}
	text := fmt.Sprintf("%s has not come back for %d s. A program that was started again knows only the code %s.", name, int(e.After.Seconds()), Clean(e.Code))
	if again == "" {
		return text + " It cannot meet this one: end this program, and start both again."
	}
	return text + fmt.Sprintf(" To wait with that code as well, type %s: anyone who knows the code can then answer.", again)
}

// Text tells that a contact has not come, and what to do if the contact has forgotten this side.
func (e StillAway) Text() string {
	name, waited := Clean(e.Contact), "answered"
	switch {
	case e.Lost:
		waited = "come back"
	case e.Answering:
		waited = "called"
	}
	return fmt.Sprintf("%s has not %s for %d s, and may be away. If %s has removed you as a contact, remove @%s, too (p2pchat contacts forget @%s), meet with a code (p2pchat call), and both type /keep.",
		name, waited, int(e.After.Seconds()), name, name, name)
}

// Text tells how many wrong answers are left. It is empty after the last one, and on the side that gave
// it: there, the error says all.
func (e WrongCode) Text() string {
	switch {
	case e.Left <= 0:
		return ""
	case e.Left == 1:
		return "The other side gave a wrong code. 1 attempt left."
	}
	return fmt.Sprintf("The other side gave a wrong code. %d attempts left.", e.Left)
}

// OverheardText tells that name ended the call because the safety words differ.
func OverheardText(name string) string {
	return name + " says that the safety words differ: someone may be listening."
}

// CommandLabel introduces the other side's command; here says that the command works on this machine only.
func CommandLabel(here bool) string {
	if here {
		return "On this machine, the other side types"
	}
	return "The other side types"
}

// PathText says in words by which kind of candidate (RFC 8445) the other side was reached.
func PathText(path string) string {
	return map[string]string{"host": "directly", "srflx": "directly, through NAT", "prflx": "directly, through NAT", "relay": "through a relay"}[path]
}

// MovedText says that the connection to the other side, who has that name, has moved to another path, and why.
func MovedText(e chat.Moved, name string) string {
	why := moveReason(e, name)
	if why != "" {
		why = ": " + why
	}
	if from, to := PathText(e.From), PathText(e.To); from != to {
		return fmt.Sprintf("The connection now goes %s (before: %s, for %s)%s", to, from, e.After.Round(time.Second), why)
	}
	if e.Reason == "silence" { // the network may be the same
		return "The connection is back after a break, and goes " + PathText(e.To) + why
	}
	return "The connection has moved to another network, and still goes " + PathText(e.To) + why
}

// pathText says which way the connection goes now.
func pathText(e chat.Event, other string) string {
	if moved, ok := e.(chat.Moved); ok {
		return MovedText(moved, other)
	}
	return RelayedText
}

// RelayedText corrects what was said of the path.
const RelayedText = "The connection goes through a relay, not directly"

// moveReason says why the connection has moved, or returns "" if that is not known.
func moveReason(e chat.Moved, name string) string {
	machine, network := "this machine", "this network"
	if e.Theirs {
		machine, network = name+"'s machine", name+"'s network"
	}
	return map[string]string{
		"relay":   "another try to leave the relay succeeded",
		"udp":     network + " lets UDP through now",
		"address": machine + " has a better address",
		"gone":    machine + " lost its address",
		"silence": "for a moment, nothing arrived from " + name,
		"worse":   "the earlier path had become slow, or lost packets",
	}[e.Reason]
}

// RouteText draws a route from this machine to the other side, who has that name.
func RouteText(route, name string) string {
	stops := strings.Split(route, ",")
	for i, stop := range stops {
		kind, address, _ := strings.Cut(stop, " ")
		switch {
		case i == 0:
			kind = "you"
		case i == len(stops)-1:
			kind = name
		case kind == "nat":
			kind = "NAT"
		}
		stops[i] = strings.TrimSpace(kind + " " + address)
	}
	return strings.Join(stops, " ── ")
}

// Capital returns text with a capital letter at its beginning, unless it begins with an address or a path.
// It is not for a text that begins with a name.
func Capital(text string) string {
	first, _, _ := strings.Cut(text, " ")
	if strings.ContainsAny(first, "/.@") {
		return text
	}
	r, n := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(r)) + text[n:]
}

// MailedText says that messages wait at the server.
func MailedText(e chat.Mailed) string {
	kept := "for up to " + strconv.Itoa(int(math.Round(e.Kept.Hours()/24))) + " days"
	if e.Kept < 48*time.Hour {
		kept = "at most until " + time.Now().Add(e.Kept).Format("Jan 2 15:04")
	}
	return "✉ Left at the server, sealed. It is kept there " + kept + ", and here until it is read."
}

// WrittenText says when the message of a letter was written.
func WrittenText(m chat.Message) string {
	return "✉ " + Clean(m.From) + " wrote this on " + Moment(m.Written)
}

// Moment returns a time of another day, in the person's time zone.
func Moment(t time.Time) string { return t.Local().Format("Jan 2 15:04") }

// Text returns the sentence for a person.
func (Taken) Text() string {
	return "Another person has answered this call. If the caller expected you, ask for a new code. Waiting for the next call."
}
