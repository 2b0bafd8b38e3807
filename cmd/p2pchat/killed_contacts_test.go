package main

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// testKills is the variable with how many times each side is killed in the tests of contacts.
const testKills = "P2PCHATTEST_KILLS"

func kills(t *testing.T) int {
	t.Helper()
	n, err := strconv.Atoi(os.Getenv(testKills))
	if err != nil {
		return 8
	}
	return n
}

// A pair is two people whose contacts are on disk, each in a folder of its own.
type pair struct {
	server string
	states [2]string
}

func newPair(t *testing.T, server string) pair {
	t.Helper()
	dir := t.TempDir()
	return pair{server, [2]string{filepath.Join(dir, "ann"), filepath.Join(dir, "ben")}}
}

// launch starts the program of a side.
func (p pair) launch(t *testing.T, side int, args ...string) *process {
	t.Helper()
	env := []string{"XDG_STATE_HOME=" + p.states[side], "P2PCHAT_NAME=" + []string{"ann", "ben"}[side], "P2PCHAT_SERVER=" + p.server}
	return launchWith(t, t.TempDir(), env, args...)
}

// contacts returns how many contacts a side has, and whether it knows that they are mutual.
func (p pair) contacts(t *testing.T, side int) (n int, confirmed bool) {
	t.Helper()
	list := p.launch(t, side, "contacts", "--json")
	if err := list.end(); err != nil || list.cmd.ProcessState.ExitCode() != 0 {
		t.Fatalf("the contacts cannot be listed: %v\n%s", err, list.err)
	}
	for line := range strings.Lines(list.out.String()) {
		var c struct{ Confirmed bool }
		if err := json.Unmarshal([]byte(line), &c); err != nil {
			t.Fatal(err)
		}
		n++
		confirmed = confirmed || c.Confirmed
	}
	return n, confirmed
}

// meet lets the two meet without a code, with one or both of them calling.
func (p pair) meet(t *testing.T, commands [2]string) {
	t.Helper()
	first, second := p.launch(t, 0, commands[0], "@ben", "--ui", "json"), p.launch(t, 1, commands[1], "@ann", "--ui", "json")
	first.prints(t, `"type":"connected","verified":true`)
	second.prints(t, `"type":"connected","verified":true`)
	for _, side := range []*process{first, second} {
		_, _ = side.in.Write([]byte("{\"type\":\"leave\"}\n")) // the other side may have left, too
	}
	for _, side := range []*process{first, second} {
		if err := side.end(); err != nil {
			t.Fatal(err)
		}
	}
}

// killEach kills both sides, each at a random moment within limit.
func killEach(random *rand.Rand, limit time.Duration, sides ...*process) {
	for _, i := range random.Perm(len(sides)) {
		time.Sleep(time.Duration(random.Int64N(int64(limit) / 2)))
		sides[i].kill()
	}
}

// Two who keep each other while both are killed have both kept each other, or neither takes the other for a contact who has.
func TestKilledWhileKeeping(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(16, uint64(kills(t)))) //nolint:gosec // the same each time
	server := serving(t)
	both, one, none := 0, 0, 0
	for round := range kills(t) {
		p := newPair(t, server)
		code := strconv.Itoa(1000+round) + "-falcon-zebra"
		first, second := p.launch(t, 0, "call", code, "--ui", "json", "--keep", "ben"), p.launch(t, 1, "answer", code, "--ui", "json", "--keep", "ann")
		if round%4 > 0 { // most are killed just when they keep each other
			[]*process{first, second}[round%2].prints(t, `"type":"connected"`)
			killEach(random, 20*time.Millisecond, first, second)
		} else {
			killEach(random, 400*time.Millisecond, first, second)
		}
		a, sureA := p.contacts(t, 0)
		b, sureB := p.contacts(t, 1)
		switch {
		case a == 1 && b == 1:
			both++
			p.meet(t, [2]string{"call", "answer"})
		case a+b == 1:
			one++
			if sureA || sureB {
				t.Errorf("round %d: one side takes the other for a contact who has kept it, and it has not", round)
			}
		case a+b == 0:
			none++
		default:
			t.Fatalf("round %d: %d and %d contacts", round, a, b)
		}
	}
	t.Logf("%d times both were kept, %d times one without the other, %d times none", both, one, none)
}

// Two contacts who are both killed again and again, at any moment of a call, always meet again.
func TestKilledWhileRolling(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(17, uint64(kills(t)))) //nolint:gosec // the same each time
	p := newPair(t, serving(t))
	first, second := p.launch(t, 0, "call", "417-falcon-zebra", "--ui", "json", "--keep", "ben"), p.launch(t, 1, "answer", "417-falcon-zebra", "--ui", "json", "--keep", "ann")
	first.prints(t, `"type":"kept"`)
	second.prints(t, `"type":"kept"`)
	killEach(random, time.Millisecond, first, second)
	commands := [][2]string{{"call", "answer"}, {"answer", "call"}, {"call", "call"}}
	for round := range kills(t) {
		c := commands[random.IntN(len(commands))]
		first, second := p.launch(t, 0, c[0], "@ben", "--ui", "json"), p.launch(t, 1, c[1], "@ann", "--ui", "json")
		if round%2 == 0 {
			first.prints(t, `"type":"connect(ing|ed)"`)
			killEach(random, 20*time.Millisecond, first, second)
		} else {
			killEach(random, 300*time.Millisecond, first, second)
		}
		if round%4 == 3 {
			p.meet(t, commands[random.IntN(len(commands))])
		}
	}
	p.meet(t, [2]string{"call", "answer"})
	p.meet(t, [2]string{"answer", "call"})
}
