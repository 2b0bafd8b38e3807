package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"p2pchat/cmd/p2pchat/internal/contacts"
	"p2pchat/peer/mail"
)

// A smallDisk is a file system of few pages.
type smallDisk struct{ dir, filler string }

func newSmallDisk(t *testing.T) smallDisk {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("none", dir, "tmpfs", 0, "size=256k"); err != nil {
		t.Skip("NOT RUN: no file system can be mounted: ", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return smallDisk{dir, filepath.Join(dir, "filler")}
}

// fill leaves room for that number of pages.
func (d smallDisk) fill(t *testing.T, pages int) {
	t.Helper()
	page := int64(os.Getpagesize())
	f, err := os.Create(d.filler)
	for err == nil {
		_, err = f.Write(make([]byte, page))
	}
	info, bad := f.Stat()
	if !errors.Is(err, syscall.ENOSPC) || bad != nil {
		t.Fatal(err, bad)
	}
	if err := errors.Join(f.Truncate(info.Size()-int64(pages)*page), f.Close()); err != nil {
		t.Fatal(err)
	}
}

func (d smallDisk) free(t *testing.T) {
	t.Helper()
	if err := os.Remove(d.filler); err != nil {
		t.Fatal(err)
	}
}

// A full disk is named, with what to do, and no file is half of one.
func TestCommandsOnAFullDisk(t *testing.T) {
	t.Parallel()
	disk := newSmallDisk(t)
	p := newPair(t, serving(t))
	p.states[0] = filepath.Join(disk.dir, "ann")
	p.keep(t)
	config := filepath.Join(disk.dir, "config.toml")
	set := func(value string) *process {
		return launchWith(t, t.TempDir(), []string{configVariable + "=" + config}, "config", "set", "name", value)
	}
	set("ann").finishes(t, 0)
	disk.fill(t, 0)
	for _, args := range [][]string{
		{"contacts", "rename", "@ben", "benny"},
		{"contacts", "ring", "@ben", "accept"},
		{"call", "standup", "--outbox", filepath.Join(disk.dir, "box")},
		{"listen"},
	} {
		c := p.launch(t, 0, args...)
		c.finishes(t, exitFailed)
		if said := c.err.String(); !regexp.MustCompile(`error: .*`+regexp.QuoteMeta(disk.dir)+`\S+: no space left on device\np2pchat: hint: make room on that disk`).MatchString(said) || strings.Contains(said, ".new-") {
			t.Errorf("%q says\n%s", args, said)
		}
	}
	set(strings.Repeat("x", 2*os.Getpagesize())).finishes(t, exitFailed)
	c := p.launch(t, 0, "contacts")
	c.finishes(t, 0)
	c.prints(t, `^@ben `)
	disk.free(t)
	if text, err := os.ReadFile(config); err != nil || string(text) != "name = 'ann'\n" { //nolint:gosec // the test's own
		t.Errorf("the settings are %q (%v)", text, err)
	}
	p.launch(t, 0, "contacts", "rename", "@ben", "benny").finishes(t, 0)
}

// The disk of one who writes to a contact runs full, at one write after another. What is not kept is refused, and so told; all else
// comes to the contact, once and in order, and the two still have keys in common.
func TestWritingToAContactOnAFullDisk(t *testing.T) {
	t.Parallel()
	for _, pages := range []int{0, 1, 2, 3, 5} {
		t.Run(fmt.Sprint(pages, " pages"), func(t *testing.T) {
			t.Parallel()
			disk := newSmallDisk(t)
			p := newPair(t, serving(t, "--mail")) // its own, because all pairs keep each other with the same code
			p.states[0] = filepath.Join(disk.dir, "ann")
			p.keep(t)
			const messages = 50
			write := func() (taken []string, ann *process) {
				ann = withOutbox(t, p, 0, "call", "@ben", "--ui", "json")
				ann.prints(t, `"type":"waiting"`)
				for i := range messages {
					ann.say(t, fmt.Sprintf(`{"type":"message","text":"%d %s"}`, i, strings.Repeat("x", 700)))
				}
				ann.say(t, `{"type":"message"}`) // the answer to it shows that those before it were taken or refused
				ann.prints(t, fmt.Sprintf(`"input line %d: a message needs a text"`, messages+1))
				refused := regexp.MustCompile(`"code":"not-kept".*input line (\d+):`).FindAllStringSubmatch(ann.out.String(), -1)
				for i := range messages {
					if !slices.ContainsFunc(refused, func(r []string) bool { return r[1] == strconv.Itoa(i+1) }) {
						taken = append(taken, strconv.Itoa(i))
					}
				}
				return taken, ann
			}
			if pages == 0 { // from the beginning: there is no outbox, which is told, so messages live as long as the program
				disk.fill(t, 0)
				taken, ann := write()
				ann.prints(t, `"text":"Undelivered messages are not kept when this program ends: .*no space left on device`)
				p.comesAndReads(t, taken)
				ann.kill()
				disk.free(t)
				p.meet(t, [2]string{"call", "answer"})
				return
			}
			first := withOutbox(t, p, 0, "call", "@ben", "--ui", "json")
			first.prints(t, `"type":"waiting"`)
			first.kill()
			disk.fill(t, pages)
			taken, ann := write()
			t.Logf("%d of %d messages were taken", len(taken), messages)
			if len(taken) == messages {
				t.Error("the disk was not full")
			}
			ann.kill()
			disk.free(t)
			withOutbox(t, p, 0, "call", "@ben", "--ui", "json").prints(t, `"type":"waiting"`)
			p.comesAndReads(t, taken)
		})
	}
}

// comesAndReads lets the second side come, and checks that it reads these messages, each once and in order.
func (p pair) comesAndReads(t *testing.T, numbers []string) {
	t.Helper()
	ben := withOutbox(t, p, 1, "answer", "@ann", "--ui", "json")
	if len(numbers) > 0 {
		ben.prints(t, `"text":"`+numbers[len(numbers)-1]+` x`)
	} else {
		ben.prints(t, `"type":"connected"`)
	}
	var got []string
	for line := range strings.Lines(ben.out.String()) {
		var m struct{ Type, Text string }
		if json.Unmarshal([]byte(line), &m) == nil && m.Type == "message" {
			number, _, _ := strings.Cut(m.Text, " ")
			got = append(got, number)
		}
	}
	if !slices.Equal(got, numbers) {
		t.Errorf("the contact reads %v, and %v were taken", got, numbers)
	}
	ben.kill()
}

// The disk of one who reads a letter takes no new keys, and then the two meet and say goodbye: the next call shows the letter no more.
func TestReadingALetterOnAFullDisk(t *testing.T) {
	t.Parallel()
	disk := newSmallDisk(t)
	p := newPair(t, serving(t, "--mail"))
	p.states[1] = filepath.Join(disk.dir, "ben")
	p.keep(t)
	with, err := contacts.Open(p.states[0] + "/p2pchat/contacts").Find("ben")
	if err != nil {
		t.Fatal(err)
	}
	at, from, seq := clientOf(t, p.server), mail.Outgoing{Box: with.Keys.Generations[0].Boxes[with.Keys.Side]}, 0
	writes := func(text string) {
		seq++
		letterOf(t, at, &from, strings.Replace(letterWith("a", seq, text), `"first":1`, fmt.Sprintf(`"first":%d`, seq), 1))
	}
	answers := func() *process { return withOutbox(t, p, 1, "answer", "@ann", "--ui", "json") }
	ben := answers()
	writes("zero")
	ben.prints(t, `"text":"zero"`)
	eventually(t, func() bool {
		c, err := contacts.Open(p.states[1] + "/p2pchat/contacts").Find("ann")
		return err == nil && c.Keys.Generations[0].Boxes[with.Keys.Side].Number == 1
	}, func() string { return "the key after the first letter is not saved" })
	disk.fill(t, 0)
	writes("one")
	ben.prints(t, `"text":"one"`)
	ben.prints(t, `The keys of the letters that you have read could not be saved: .*no space left on device`)
	ann := withOutbox(t, p, 0, "call", "@ben", "--ui", "json")
	ann.prints(t, `"type":"connected"`)
	ben.prints(t, `"type":"connected"`)
	ann.say(t, `{"type":"leave"}`)
	ann.finishes(t, 0)
	ben.finishes(t, 0)
	disk.free(t)
	ben = answers()
	writes("two")
	ben.prints(t, `"text":"two"`)
	if strings.Contains(ben.out.String(), `"text":"one"`) {
		t.Errorf("a letter is shown twice:\n%s", ben.out)
	}
	ann = withOutbox(t, p, 0, "call", "@ben", "--ui", "json")
	ann.say(t, `{"type":"message","text":"three"}`)
	ben.prints(t, `"text":"three"`)
	ann.say(t, `{"type":"leave"}`)
	ann.finishes(t, 0)
	ben.finishes(t, 0)
	if left, err := filepath.Glob(filepath.Join(p.states[1], "p2pchat", "outboxes", "*")); err != nil || len(left) > 0 {
		t.Errorf("an outbox is left: %q, %v", left, err)
	}
}

// A full disk under the output ends the program, and the other side is told that its last messages were not read.
func TestOutputOnAFullDisk(t *testing.T) {
	t.Parallel()
	server := serving(t)
	for _, ui := range []string{"line", "json"} {
		full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		said := newTranscript()
		cmd := programCommand(t, "answer", "417-falcon-zebra", "--server", server, "--ui", ui)
		cmd.Stdout, cmd.Stderr = full, said
		if err := errors.Join(cmd.Start(), full.Close()); err != nil {
			t.Fatal(err)
		}
		ann := launch(t, "call", "417-falcon-zebra", "--server", server, "--leave-on-eof")
		ann.say(t, "hello")
		_ = ann.in.Close() // it never fails
		_ = cmd.Wait()     // the exit code says it
		said.end()
		if code := cmd.ProcessState.ExitCode(); code != exitFailed || !strings.Contains(said.String(), "no space left on device\np2pchat: hint: make room") {
			t.Errorf("%s: it ends with %d: %s", ui, code, said)
		}
		if ui == "line" {
			ann.finishes(t, exitFailed)
			ann.notes(t, `1 line was not delivered`)
			continue
		}
		ann.kill() // with json, its end is told before there is a call
	}
}

// With 64 MB of memory, two send a large file and a folder each, and talk: what a program has resident never exceeds that, and the
// server's does not either. Stripes need more: 124 MB, or, with GOMEMLIMIT=40MiB, less than 60, and on a busy machine 85: the limit is soft.
func TestLittleMemory(t *testing.T) {
	t.Parallel()
	inFull(t)
	program := filepath.Join(t.TempDir(), "p2pchat")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".").CombinedOutput(); err != nil { //nolint:gosec // the race detector needs more memory than the program
		t.Fatalf("%v: %s", err, out)
	}
	run := func(args ...string) *process {
		return launchCommand(t, exec.CommandContext(t.Context(), program, args...), t.TempDir(), append(os.Environ(), "P2PCHAT_NAME=tester", "GOMEMLIMIT=40MiB")) //nolint:gosec // as built
	}
	for _, c := range []struct {
		stripes     string
		size, limit int // MiB
	}{{"never", 200, 64}, {"always", 64, 160}} {
		t.Run(c.stripes, func(t *testing.T) { littleMemory(t, run, c.stripes, c.size, c.limit) })
	}
}

func littleMemory(t *testing.T, run func(...string) *process, stripes string, size, limit int) {
	t.Helper()
	large, folder := filepath.Join(t.TempDir(), "large"), filepath.Join(t.TempDir(), "folder")
	err := errors.Join(os.WriteFile(large, make([]byte, size<<20), 0o600), os.Mkdir(folder, 0o700))
	for i := range 2000 {
		err = errors.Join(err, os.WriteFile(filepath.Join(folder, strconv.Itoa(i)), make([]byte, i), 0o600))
	}
	if err != nil {
		t.Fatal(err)
	}
	server := run("serve", "--listen", "127.0.0.1:0")
	address := server.notes(t, `listening on (\S+)`)[1]
	ann := run("call", "417-falcon-zebra", "--server", address, "--send", large, "--accept-files", "--stripes", stripes)
	ann.notes(t, `Waiting for`)
	ben := run("answer", "417-falcon-zebra", "--server", address, "--send", folder, "--accept-files", "--stripes", stripes)
	for _, p := range []*process{ann, ben} {
		for i := range 2000 {
			p.say(t, fmt.Sprint(i, strings.Repeat(" words", 100)))
		}
	}
	ben.notes(t, `Saved "large"`)
	ann.notes(t, `Saved "folder"`)
	last := "1999" + strings.Repeat(" words", 100)
	ann.hears(t, last)
	ben.hears(t, last)
	for name, p := range map[string]*process{"caller": ann, "callee": ben, "server": server} {
		peak := residentPeak(t, p.cmd.Process.Pid)
		t.Logf("the %s had %d MiB at most", name, peak)
		if peak >= limit {
			t.Errorf("the %s had %d MiB", name, peak)
		}
	}
}

// residentPeak returns the most MiB that a running process has had resident. What the kernel tells of an ended one counts the test's own,
// from which it was forked.
func residentPeak(t *testing.T, pid int) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	found := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(status)
	if err != nil || found == nil {
		t.Fatalf("%v: %s", err, status)
	}
	kilobytes, err := strconv.Atoi(string(found[1]))
	if err != nil {
		t.Fatal(err)
	}
	return kilobytes >> 10
}

// Every command whose output does not fit on the disk says so, also where a library writes it.
func TestOutputToAFullDisk(t *testing.T) {
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	for _, args := range []string{"--help", "help call", "serve --help", "--version", "version", "config", "config --json", "contacts", "completion bash", "demo"} {
		var notes strings.Builder
		exit := run(t.Context(), strings.Fields(args), stdio{in: strings.NewReader(""), out: full, err: &notes})
		if exit != exitFailed || !strings.Contains(notes.String(), "no space left on device\np2pchat: hint: make room on that disk") {
			t.Errorf("p2pchat %s exits with %d, and says %q", args, exit, notes.String())
		}
	}
}
