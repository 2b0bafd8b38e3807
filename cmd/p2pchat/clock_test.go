package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// testBroken is the variable that makes the tests on broken machines run which take minutes.
const testBroken = "P2PCHATTEST_BROKEN"

func skipUnlessBroken(t *testing.T) {
	t.Helper()
	if os.Getenv(testBroken) == "" {
		t.Skip("NOT RUN: needs " + testBroken + "=1")
	}
}

// testClock is the variable of a file with the seconds by which the clock of a program is wrong. Only programs of clockwork look there.
const testClock = "P2PCHATTEST_CLOCK"

// clockwork builds the program with a clock that can be set while it runs: as on a machine, timers and deadlines do not notice.
var clockwork = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(os.Getenv("XDG_CONFIG_HOME"), "clockwork") // which the suite removes
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err
	}
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return "", err
	}
	source := filepath.Join(strings.TrimSpace(string(root)), "src", "time")
	text, err := os.ReadFile(filepath.Join(source, "time.go")) //nolint:gosec // Go's own
	if err != nil {
		return "", err
	}
	const reads = "sec, nsec, mono := runtimeNow()\n"
	if strings.Count(string(text), reads) < 1 {
		return "", errors.New("package time reads the clock in another way than the test expects")
	}
	wrong := `package time

import (
	"sync/atomic"
	"syscall"
)

var wrongBy atomic.Int64 // seconds; the runtime calls Now where no file can be read

func init() {
	if path, ok := syscall.Getenv("` + testClock + `"); ok {
		go func() {
			for ; ; Sleep(20 * Millisecond) {
				wrongBy.Store(readSeconds(path))
			}
		}()
	}
}

func readSeconds(path string) (seconds int64) {
	fd, err := open(path)
	if err != nil {
		return 0
	}
	defer closefd(fd)
	b := make([]byte, 20)
	n, _ := read(fd, b)
	sign := int64(1)
	for _, c := range b[:max(n, 0)] {
		if c == '-' {
			sign = -1
		} else {
			seconds = 10*seconds + int64(c-'0')
		}
	}
	return sign * seconds
}
`
	changed := strings.Replace(string(text), reads, reads+"\tsec += wrongBy.Load()\n", 1)
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {
		filepath.Join(source, "time.go"): filepath.Join(dir, "time.go"), filepath.Join(source, "wrong.go"): filepath.Join(dir, "wrong.go"),
	}})
	err = errors.Join(err, os.WriteFile(filepath.Join(dir, "time.go"), []byte(changed), 0o600), os.WriteFile(filepath.Join(dir, "wrong.go"), []byte(wrong), 0o600),
		os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o600))
	if err != nil {
		return "", err
	}
	program := filepath.Join(dir, "p2pchat")
	build := exec.Command("go", "build", "-overlay", filepath.Join(dir, "overlay.json"), "-o", program, ".") //nolint:gosec // as the test made it
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return program, nil
})

// A clock is that of one machine.
type clock struct{ path string }

func newClock(t *testing.T) clock { return clock{filepath.Join(t.TempDir(), "clock")} }

// set makes the clock wrong by that.
func (c clock) set(t *testing.T, by time.Duration) {
	t.Helper()
	next := c.path + ".next"
	if err := errors.Join(os.WriteFile(next, []byte(strconv.Itoa(int(by.Seconds()))), 0o600), os.Rename(next, c.path)); err != nil {
		t.Fatal(err)
	}
}

// launch starts the program on the machine of the clock.
func (c clock) launch(t *testing.T, env []string, args ...string) *process {
	t.Helper()
	program, err := clockwork()
	if err != nil {
		t.Fatal(err)
	}
	return launchCommand(t, exec.Command(program, args...), t.TempDir(), append(append(os.Environ(), testClock+"="+c.path), env...)) //nolint:gosec // as the test built it
}

func (p pair) env(side int) []string {
	return []string{"XDG_STATE_HOME=" + p.states[side], "P2PCHAT_NAME=" + []string{"ann", "ben"}[side], "P2PCHAT_SERVER=" + p.server}
}

// A machine that slept for nine hours, or whose clock was set, meets its contacts within seconds: timers did not run while it slept, and
// the two meet in other rooms each hour.
func TestAfterSleepContactsMeet(t *testing.T) {
	t.Parallel()
	skipUnlessBroken(t)
	for _, by := range []time.Duration{9 * time.Hour, -24 * time.Hour} {
		for _, waits := range [][]string{{"answer", "@ann"}, {"listen"}} {
			t.Run(fmt.Sprint(waits[0], by), func(t *testing.T) {
				t.Parallel()
				p := newPair(t, serving(t))
				p.keep(t)
				ours, theirs := newClock(t), newClock(t)
				ben := ours.launch(t, p.env(1), append(waits, "--ui", "json")...)
				ben.prints(t, `"type":"(waiting|listening)"`)
				ours.set(t, by)
				theirs.set(t, by)
				ann := theirs.launch(t, p.env(0), "call", "@ben", "--ui", "json")
				if waits[0] == "listen" {
					ben.prints(t, `"type":"call"`)
					ben.say(t, `{"type":"answer"}`)
				}
				ann.prints(t, `"type":"connected","verified":true`)
				ben.prints(t, `"type":"connected","verified":true`)
			})
		}
	}
}

// One whose clock is wrong by a day cannot meet a contact, and is told why.
func TestAWrongClockIsTold(t *testing.T) {
	t.Parallel()
	skipUnlessBroken(t)
	p := newPair(t, serving(t))
	p.keep(t)
	wrong, late := newClock(t), newClock(t)
	wrong.set(t, 24*time.Hour)
	late.set(t, -2*time.Hour)
	for _, args := range [][]string{{"call", "@ben"}, {"answer", "@ben"}, {"listen"}} {
		program := wrong.launch(t, p.env(0), args...)
		program.notes(t, `his machine's clock is 24 hours ahead of that of `+p.server+`\. Contacts meet by the clock: if yours is wrong, set it`)
		program.kill()
	}
	late.launch(t, p.env(1), "call", "@ann").notes(t, `his machine's clock is 2 hours behind that of `)
}

// A conversation does not notice that a clock is set, and what comes then has the new time.
func TestAClockIsSetInAConversation(t *testing.T) {
	t.Parallel()
	skipUnlessBroken(t)
	server := newClock(t)
	serves := server.launch(t, nil, "serve", "--listen", "127.0.0.1:0", "--mail", "--room-ttl", "1m")
	address := serves.notes(t, `listening on (\S+)`)[1]
	c := newClock(t)
	ann := c.launch(t, []string{"P2PCHAT_NAME=ann"}, "call", "417-falcon-zebra", "--server", address, "--ui", "json")
	ann.prints(t, `"type":"waiting"`)
	for i, by := range []time.Duration{24 * time.Hour, -24 * time.Hour, 0} { // while the room waits
		server.set(t, by)
		c.set(t, by)
		launch(t, "answer", strconv.Itoa(500+i), "--server", address, "--wait", "1s").finishes(t, exitAbsent)
	}
	ben := c.launch(t, []string{"P2PCHAT_NAME=ben"}, "answer", "417-falcon-zebra", "--server", address, "--ui", "json")
	ben.prints(t, `"type":"connected"`)
	ann.prints(t, `"type":"connected"`)
	for i, by := range []time.Duration{24 * time.Hour, -24 * time.Hour, 0} {
		c.set(t, by)
		text := "message " + strconv.Itoa(i)
		ann.say(t, `{"type":"message","text":"`+text+`"}`)
		ben.prints(t, `"text":"`+text+`"`)
		ben.prints(t, `"at":"`+time.Now().Add(by).Format("2006-01-02")) // with its figures, if not before
		ann.prints(t, `"id":`+strconv.Itoa(i+1)+`,"type":"delivered"`)
	}
	ann.say(t, `{"type":"leave"}`)
	ann.finishes(t, 0)
	ben.finishes(t, 0)
	if strings.Contains(ann.out.String()+ben.out.String(), `"disconnected"`) {
		t.Errorf("the connection was lost:\n%s", ann.out)
	}
}
