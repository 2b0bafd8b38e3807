package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// timesWritten returns the notes in the log of the page that say when a message was written.
func (p *tab) timesWritten() []string {
	p.t.Helper()
	return eval[[]string](p, `[...document.querySelectorAll("#log > *")].map((e) => e.textContent).filter((t) => t.includes("wrote this on"))`)
}

// clocks returns the times of the messages in the log.
func (p *tab) clocks() []string {
	p.t.Helper()
	return eval[[]string](p, `[...document.querySelectorAll("#log > .mine time, #log > .theirs time")].map((e) => e.textContent)`)
}

// The page shows when a message was written that has waited in the outbox of a program, and tells when its own were.
func TestPageTimeOfMessagesThatWaited(t *testing.T) {
	t.Parallel()
	ann, ben := correspondents(t, sharedBrowser(t), serving(t))
	early := ben("call")
	early.waitsInOutbox(t, "early")
	ages(t, early.cmd.Dir, 2*time.Hour)
	program := ben("call")
	program.prints(t, `"type":"queued"`)
	program.say(t, `{"type":"message","text":"late"}`)
	ann.contact("Answer Ben")
	ann.hears("late")
	if told := ann.timesWritten(); len(told) != 1 {
		t.Errorf("the page tells %q", told)
	}
	if told := strings.Join(ann.timesWritten(), ""); !strings.Contains(told, ann.clocks()[0]) {
		t.Errorf("the message has the time %q, and the page tells %q", ann.clocks()[0], told)
	}
	if heard := ann.theirs(); !slices.Equal(heard, []string{"early", "late"}) {
		t.Errorf("the page shows %q", heard)
	}
	ann.click("leave")
	program.finish(t)

	ann.opens()
	ann.writesTo("Call Ben")
	const hours = 26
	eval[bool](ann, fmt.Sprintf(`(globalThis.real = Date.now, Date.now = () => real.call(Date) - %d * 3600_000, true)`, hours))
	written := time.Now().Add(-hours * time.Hour)
	dayAndTime := `new Date(Date.now()).toLocaleString([], { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" })`
	early1 := eval[string](ann, dayAndTime)
	ann.say("mine")
	ann.marked(waits)
	early2 := eval[string](ann, dayAndTime) // may be in the next minute
	eval[bool](ann, `(Date.now = real, true)`)
	ann.say("fresh")
	ann.stored(2)
	ann.opens() // in which it shows them again
	ann.contact("Call Ben")
	ann.sees("You wrote these 2 messages before this call.")
	if at := ann.clocks()[0]; at != early1 && at != early2 {
		t.Errorf("a message was written at %s, and in the next call the page says at %s", early1, at)
	}
	program = ben("answer")
	found := program.prints(t, `"text":"mine","type":"message","written":"([^"]*)"`)
	if at, err := time.Parse(time.RFC3339, found[1]); err != nil || at.Sub(written).Abs() > 5*time.Minute {
		t.Errorf("it was written at %v, want about %v (%v)", at, written, err)
	}
	program.prints(t, `"text":"fresh","type":"message"}`)
	ann.click("leave")
	program.finish(t)
}

// A page whose machine slept while it called goes on in the rooms of the hour in which it wakes: no timer has run since.
func TestPageWakesInAnotherHour(t *testing.T) {
	t.Parallel()
	ann, ben := correspondents(t, sharedBrowser(t), serving(t))
	eval[bool](ann, `(globalThis.real = Date.now, Date.now = () => real.call(Date) - 3 * 3600_000, true)`)
	ann.writesTo("Call Ben", "good morning")
	until[bool](ann, `performance.getEntriesByType("resource").some((r) => r.name.includes("/rooms/"))`)
	eval[bool](ann, `(Date.now = real, true)`)
	program := ben("answer")
	program.prints(t, `"text":"good morning"`)
	ann.click("leave")
	program.finish(t)
}

// Contacts meet by the clock, so the page says that it is wrong: no failure tells.
func TestPageTellsOfAWrongClock(t *testing.T) {
	t.Parallel()
	ann, _ := correspondents(t, sharedBrowser(t), serving(t))
	for _, row := range []struct{ minutes, hours, way string }{{"-300", "5", "behind"}, {"195", "3", "ahead of"}} {
		ann.opens()
		eval[bool](ann, `(globalThis.real = Date.now, Date.now = () => real.call(Date) + `+row.minutes+` * 60_000, true)`)
		ann.contact("Call Ben")
		ann.sees("This machine’s clock is " + row.hours + " hours " + row.way + " that of ")
		ann.sees("Contacts meet by the clock: if yours is wrong, set it and load the page again, or the two of you cannot meet.")
	}
	ann.opens()
	ann.contact("Call Ben")
	ann.sees("Waiting for Ben")
	until[bool](ann, `performance.getEntriesByType("resource").some((r) => r.name.includes("/rooms/"))`)
	if eval[bool](ann, `document.body.innerText.includes("clock is")`) {
		t.Error("the page tells of a clock that is right")
	}
}
