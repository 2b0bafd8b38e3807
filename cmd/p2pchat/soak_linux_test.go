package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// TestSoak runs a server and its programs for P2PCHATTEST_SOAK (1h): a call that goes on with messages and files, a listen that is
// called again and again, letters, and calls with new codes, while programs are stopped and connections to the server are cut. It fails
// if anything is lost, or if memory, goroutines or descriptors of a process go on growing. P2PCHATTEST_SOAK_SAMPLES names a file for the
// samples, which 'go run -C docs/report . soak' draws.
func TestSoak(t *testing.T) {
	length, err := time.ParseDuration(os.Getenv("P2PCHATTEST_SOAK"))
	if err != nil {
		t.Skip("it takes an hour: 'task soak'")
	}
	s := &soak{T: t, counts: t.TempDir(), end: time.Now().Add(length), samples: map[string][]sample{}, random: rand.New(rand.NewPCG(18, 1))} //nolint:gosec // the same each time
	server := s.launch("server", nil, "serve", "--listen", "127.0.0.1:0", "--mail", "--rate", "client=0", "--max-client-rooms", "0")
	s.server = newCuttable(t, strings.TrimPrefix(server.notes(t, `listening on (\S+)`)[1], "http://"))

	var all sync.WaitGroup
	standing := s.standing(&all)
	all.Go(s.listening)
	all.Go(s.letters)
	all.Go(s.codes)
	all.Go(func() { s.faults(server, standing) })
	s.sample()
	all.Wait()
	s.judge(length)
	t.Logf("%v: %d messages in the standing call, %d files, %d calls of a contact, %d letters, %d calls with new codes, %d stops, %d cuts",
		length, s.messages.Load(), s.files.Load(), s.contactCalls.Load(), s.mails.Load(), s.newCalls.Load(), s.stops.Load(), s.cuts.Load())
	if path := os.Getenv("P2PCHATTEST_SOAK_SAMPLES"); path != "" {
		b, err := json.Marshal(s.samples)
		if err = errors.Join(err, os.WriteFile(path, b, 0o600)); err != nil { //nolint:gosec // the path is of the person who runs the test
			t.Error(err)
		}
	}
}

type soak struct {
	*testing.T
	counts string // the folder of testGoroutines
	end    time.Time
	server *cuttable
	random *rand.Rand // of faults alone

	mu      sync.Mutex // guards what follows
	watched []watchedProcess
	samples map[string][]sample // by the process's name

	messages, files, contactCalls, mails, newCalls, stops, cuts atomic.Int64
}

type watchedProcess struct {
	name string
	*process
}

// A sample is what a process holds at a moment.
type sample struct {
	Seconds     float64 `json:"seconds"`
	MiB         float64 `json:"mib"` // resident, without files
	Goroutines  float64 `json:"goroutines"`
	Descriptors float64 `json:"descriptors"`
}

// launch starts a program that runs until the end, and watches it.
func (s *soak) launch(name string, env []string, args ...string) *process {
	s.Helper()
	p := launchWith(s.T, s.TempDir(), append(env, testGoroutines+"="+s.counts), args...)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watched = append(s.watched, watchedProcess{name, p})
	return p
}

func (s *soak) over() bool { return time.Now().After(s.end) || s.Failed() }

// pause waits for d or until the end.
func (s *soak) pause(d time.Duration) { <-time.After(min(d, max(0, time.Until(s.end)))) }

func (s *soak) url() string { return "http://" + s.server.l.Addr().String() }

// standing begins one call that lasts until the end, with messages both ways and a file now and then; both sides' programs are returned.
func (s *soak) standing(all *sync.WaitGroup) []*process {
	dir, in := s.TempDir(), s.TempDir()
	caller := s.launch("caller", nil, "call", "417-falcon-zebra", "--server", s.url(), "--ui", "json")
	callee := s.launch("callee", nil, "answer", "417-falcon-zebra", "--server", s.url(), "--ui", "json", "--accept-files", "--download-dir", in)
	sides := []*process{caller, callee}
	for _, p := range sides {
		p.prints(s.T, `"type":"connected"`)
	}
	all.Go(func() {
		sent := 0
		for begun := time.Now(); !s.over(); sent++ {
			for _, p := range sides {
				p.say(s.T, `{"type":"message","text":"`+strconv.Itoa(sent)+`"}`)
			}
			s.messages.Add(2)
			if due := int64(time.Since(begun) / (15 * time.Second)); due >= s.files.Load() {
				path := filepath.Join(dir, fmt.Sprintf("%d.bin", s.files.Add(1)))
				if err := os.WriteFile(path, make([]byte, 1<<20+sent), 0o600); err != nil {
					s.Error(err)
				}
				caller.say(s.T, `{"type":"send-file","path":"`+path+`"}`)
			}
			s.pause(200 * time.Millisecond)
		}
		for _, p := range sides {
			p.say(s.T, `{"type":"message","text":"last"}`)
		}
		for _, p := range sides {
			p.prints(s.T, `"text":"last"`)
			s.inOrder(p, sent)
		}
		received := fmt.Sprintf(`"name":"%d.bin".*"type":"file-received"|"type":"file-received".*"name":"%[1]d.bin"`, s.files.Load())
		callee.prints(s.T, received)
		if got, want := strings.Count(callee.out.String(), `"type":"file-received"`), int(s.files.Load()); got != want || strings.Contains(callee.out.String(), "file-failed") {
			s.Errorf("%d of %d files arrived", got, want)
		}
		caller.say(s.T, `{"type":"leave"}`)
		for _, p := range sides {
			p.finishes(s.T, 0)
		}
	})
	return sides
}

// inOrder checks that a side has shown the messages from 0 to n-1 and the last one, each once.
func (s *soak) inOrder(p *process, n int) {
	s.Helper()
	next := 0
	for line := range strings.Lines(p.out.String()) {
		var e struct{ Type, Text, From string }
		if json.Unmarshal([]byte(line), &e) != nil || e.Type != "message" || e.Text == "last" {
			continue
		}
		if e.Text != strconv.Itoa(next) {
			s.Errorf("message %q came in the place of %d", e.Text, next)
			return
		}
		next++
	}
	if next != n {
		s.Errorf("%d of %d messages came", next, n)
	}
}

// listening has a contact call a listen again and again.
func (s *soak) listening() {
	dir := s.TempDir()
	theirs := filepath.Join(dir, "ann")
	kept(s.T, s.url(), filepath.Join(dir, "ben"), 1, func(int) string { return theirs })
	ben := s.launch("listen", []string{"XDG_STATE_HOME=" + filepath.Join(dir, "ben"), "P2PCHAT_NAME=ben"}, "listen", "--ui", "json")
	for ; !s.over(); s.contactCalls.Add(1) {
		ann := launchWith(s.T, dir, []string{"XDG_STATE_HOME=" + theirs, "P2PCHAT_NAME=ann"}, "call", "@ben", "--ui", "json")
		ann.prints(s.T, `"type":"ringing"`)
		ben.say(s.T, `{"type":"answer","contact":"c0"}`)
		ann.prints(s.T, `"type":"connected"`)
		n := s.contactCalls.Load()
		ann.say(s.T, fmt.Sprintf(`{"type":"message","text":"call %d"}`, n))
		ben.prints(s.T, fmt.Sprintf(`"text":"call %d"`, n))
		ann.say(s.T, `{"type":"leave"}`)
		ann.finishes(s.T, 0)
		s.pause(2 * time.Second)
	}
	s.terminate(ben)
}

func (s *soak) terminate(p *process) {
	s.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		s.Error(err)
	}
	p.finish(s.T)
}

// letters has a contact leave a letter and go, and the other read it.
func (s *soak) letters() {
	p := newPair(s.T, s.url())
	kept(s.T, s.url(), p.states[0], 2, func(i int) string { return []string{"", p.states[1]}[i] }) // the first keys are those of listening
	for ; !s.over(); s.mails.Add(1) {
		text := fmt.Sprintf("letter %d", s.mails.Load())
		ann := withOutbox(s.T, p, 0, "call", "@c1", "--ui", "json")
		ann.say(s.T, `{"type":"message","text":"`+text+`"}`)
		ann.prints(s.T, fmt.Sprintf(`"id":%d\b.*"type":"mailed"`, s.mails.Load()+1))
		s.terminate(ann)
		ben := withOutbox(s.T, p, 1, "answer", "@ben", "--ui", "json")
		ben.prints(s.T, `"text":"`+text+`"`)
		s.terminate(ben)
		if n := strings.Count(ben.out.String(), `"text":"letter`); n != 1 {
			s.Errorf("%d letters came with %q", n, text) // the one before was read, and its key stored
		}
		s.pause(3 * time.Second)
	}
}

// codes has two meet with a new code, say three messages and leave.
func (s *soak) codes() {
	for ; !s.over(); s.newCalls.Add(1) {
		code := fmt.Sprintf("%d-falcon-zebra", 1000+s.newCalls.Load())
		caller := launch(s.T, "call", code, "--server", s.url(), "--ui", "json", "--leave-on-eof")
		callee := launch(s.T, "answer", code, "--server", s.url(), "--ui", "json", "--leave-on-eof")
		for _, p := range []*process{caller, callee} {
			for n := range 3 {
				p.say(s.T, `{"type":"message","text":"`+strconv.Itoa(n)+`"}`)
			}
		}
		for _, p := range []*process{caller, callee} { // the first of the two to leave ends the call
			p.prints(s.T, `"text":"2"`)
		}
		for _, p := range []*process{caller, callee} {
			if err := p.in.Close(); err != nil {
				s.Error(err)
			}
		}
		for _, p := range []*process{caller, callee} {
			p.finishes(s.T, 0)
			s.inOrder(p, 3)
		}
		s.pause(2 * time.Second)
	}
}

// faults stops programs and cuts connections to the server, one after the other.
func (s *soak) faults(server *process, standing []*process) {
	for n := 0; ; n++ {
		s.pause(7 * time.Second)
		if time.Until(s.end) < 15*time.Second || s.over() {
			return
		}
		switch n % 4 {
		case 0, 1: // longer than a connection lives without packets
			s.stop(standing[n%4], 6*time.Second)
		case 2:
			s.cuts.Add(1)
			s.server.cut(time.Duration(1+s.random.IntN(4)) * time.Second)
		case 3:
			s.stop(server, 3*time.Second)
		}
	}
}

func (s *soak) stop(p *process, d time.Duration) {
	s.stops.Add(1)
	if err := p.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		s.Error(err)
	}
	s.pause(d)
	if err := p.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		s.Error(err)
	}
}

// sample looks at the watched processes until the end.
func (s *soak) sample() {
	begun := time.Now()
	for !s.over() {
		s.pause(max(time.Second, time.Until(s.end)/1000))
		s.mu.Lock()
		for _, w := range s.watched {
			if now, err := s.look(w.cmd.Process.Pid, time.Since(begun)); err == nil { // its first count may not be there yet
				s.samples[w.name] = append(s.samples[w.name], now)
			}
		}
		s.mu.Unlock()
	}
}

func (s *soak) look(pid int, at time.Duration) (sample, error) {
	count, err := os.ReadFile(filepath.Join(s.counts, strconv.Itoa(pid)))
	if err != nil {
		return sample{}, err
	}
	goroutines, err := strconv.ParseFloat(string(count), 64)
	if err != nil {
		return sample{}, err // it is writing
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return sample{}, err
	}
	_, after, _ := strings.Cut(string(status), "RssAnon:")
	var kib float64
	if _, err := fmt.Sscan(after, &kib); err != nil {
		return sample{}, err
	}
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	return sample{at.Seconds(), kib / 1024, goroutines, float64(len(open))}, err
}

// judge checks that what each process holds is flat: between the second and the last quarter of the time, its median grows by a sixth
// and a little at most. The first quarter is for warming up. A queue that breathes is flat; what each call leaves behind is not.
func (s *soak) judge(length time.Duration) {
	for name, all := range s.samples {
		if len(all) < 20 {
			s.Errorf("%s: %d samples in %v", name, len(all), length)
			continue
		}
		for what, of := range map[string]struct {
			value  func(sample) float64
			little float64
		}{
			"MiB of memory": {func(x sample) float64 { return x.MiB }, 4},
			"goroutines":    {func(x sample) float64 { return x.Goroutines }, 6},
			"descriptors":   {func(x sample) float64 { return x.Descriptors }, 4},
		} {
			quarter := len(all) / 4
			before, after := medianOf(all[quarter:2*quarter], of.value), medianOf(all[3*quarter:], of.value)
			s.Logf("%-7s %-13s %6.1f, then %6.1f", name, what, before, after)
			if after > before*7/6+of.little {
				s.Errorf("%s goes on growing: %.1f %s, then %.1f", name, before, what, after)
			}
		}
	}
}

func medianOf(list []sample, value func(sample) float64) float64 {
	var all []float64
	for _, x := range list {
		all = append(all, value(x))
	}
	slices.Sort(all)
	return all[len(all)/2]
}
