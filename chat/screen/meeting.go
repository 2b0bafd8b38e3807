package screen

import (
	"fmt"

	"p2pchat/chat"
)

// Answering says which call this side answers.
func Answering(e chat.Waiting) string {
	if e.Lobby {
		return "Answering in the lobby"
	}
	return "Answering " + Clean(e.Code)
}

// Overheard tells that name ended the call because the safety words differ.
func Overheard(name string) string {
	return name + " says that the safety words differ: someone may be listening."
}

// Types introduces the other side's command; here says that the command works on this machine only.
func Types(here bool) string {
	if here {
		return "On this machine, the other side types"
	}
	return "The other side types"
}

// NoCall tells an answerer that no call is open, and what that can mean; takes says that the screen takes
// a code.
func NoCall(e chat.NoCall, takes bool) string {
	if e.Command != "" {
		code := map[bool]string{true: "type it here", false: "leave and run p2pchat answer CODE"}[takes]
		return fmt.Sprintf("Nobody is calling in the %s yet. If the caller has a code, %s. %s: %s", Clean(e.Room), code, Types(e.Here), Clean(e.Command))
	}
	return fmt.Sprintf("Nobody is calling in room %s yet. If the caller is already waiting, the code is mistyped or used up: ask for a new one. If this program was started again, ask the other side to type /again.", Clean(e.Room))
}

// StillLost tells that name has not come back, and what that can mean; again is how the person opens
// the code again, if they can.
func StillLost(e chat.StillLost, name, again string) string {
	text := fmt.Sprintf("%s has not come back for %d s. A program that was started again knows only the code %s.", name, int(e.After.Seconds()), Clean(e.Code))
	if again == "" {
		return text + " It cannot meet this one: end this program, and start both again."
	}
	return text + fmt.Sprintf(" To wait with that code, too, type %s: anyone who knows the code can then answer.", again)
}
