package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// building bounds the build of one program.
const building = 10 * time.Minute

// A rival is a program of others, built from the module proxy.
type rival struct{ called, module, version, pkg string }

var rivals = map[string]rival{
	"croc":             {"croc", "github.com/schollz/croc/v10", "v10.7.0", "github.com/schollz/croc/v10"},
	"weron":            {"weron", "github.com/pojntfx/weron", "v0.3.0", "github.com/pojntfx/weron/cmd/weron"},
	"webwormhole":      {"webwormhole", "webwormhole.io", "v0.0.0-20250515150231-fb044ce5fb81", "webwormhole.io/cmd/ww"},
	"pion answer":      {"pion-to-pion of webrtc", "github.com/pion/webrtc/v4", "v4.2.26", "github.com/pion/webrtc/v4/examples/pion-to-pion/answer"},
	"pion offer":       {"pion-to-pion of webrtc", "github.com/pion/webrtc/v4", "v4.2.26", "github.com/pion/webrtc/v4/examples/pion-to-pion/offer"},
	"an empty program": {},
}

// label returns what the page calls a contender: a rival with its version.
func label(name string) string {
	r := rivals[name]
	version, _, _ := strings.Cut(r.version, "-") // of a commit without a version it has only the date
	return strings.TrimSpace(cmp.Or(r.called, name) + " " + version)
}

// program returns the path of a rival, which it builds at first, and keeps for the next run. The error is the same each time.
func (l *lab) program(ctx context.Context, name string) (string, error) {
	if why := l.missing[name]; why != "" {
		return "", errors.New(why)
	}
	if path := l.programs[name]; path != "" {
		return path, nil
	}
	path, err := build(ctx, name)
	if err != nil && ctx.Err() == nil {
		why := oneLine(err.Error())
		if strings.Contains(why, ".zip: ") || strings.Contains(why, ".mod: ") { // of a module proxy
			why = "the module proxy does not serve this version"
		}
		l.missing[name] = "not built: " + why
		return "", errors.New(l.missing[name])
	}
	l.programs[name] = path
	return path, err
}

// build builds a rival in a module of its own, so that no other module's versions count.
func build(ctx context.Context, name string) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	r := rivals[name]
	folder := filepath.Join(cache, "p2pchat-report", strings.ReplaceAll(name+" "+r.version+" "+runtime.Version(), " ", "-"))
	path := filepath.Join(folder, "program")
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	fmt.Println("  building", label(name))
	mod, target := "module rival\n\ngo 1.26\n", "."
	if r.module != "" {
		mod, target = mod+"\nrequire "+r.module+" "+r.version+"\n", r.pkg
	}
	if err := errors.Join(
		os.MkdirAll(folder, 0o700),
		os.WriteFile(filepath.Join(folder, "main.go"), []byte("package main\n\nfunc main() {}\n"), 0o600),
		os.WriteFile(filepath.Join(folder, "go.mod"), []byte(mod), 0o600),
	); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, building)
	defer cancel()
	_, err = output(ctx, folder, []string{"CGO_ENABLED=0"}, "go", "build", "-mod=mod", "-trimpath", "-ldflags", "-s -w", "-o", path, target)
	return path, err
}

// meetPion connects the two programs of pion's own example.
func (l *lab) meetPion(ctx context.Context) (first, second *process, end func(), err error) {
	answer, err := l.program(ctx, "pion answer")
	if err != nil {
		return nil, nil, nil, err
	}
	offer, err := l.program(ctx, "pion offer")
	if err != nil {
		return nil, nil, nil, err
	}
	port, err := freePort(2)
	if err != nil {
		return nil, nil, nil, err
	}
	here, there := fmt.Sprintf("127.0.0.1:%d", port), fmt.Sprintf("127.0.0.1:%d", port+1)
	if first, err = l.start(ctx, nil, answer, "-offer-address", here, "-answer-address", there); err != nil {
		return nil, nil, nil, err
	}
	end = first.stop
	if err = listens(ctx, there); err == nil {
		if second, err = l.start(ctx, nil, offer, "-offer-address", here, "-answer-address", there); err == nil {
			end = func() { second.stop(); first.stop() }
			_, err = second.waitFor(ctx, `Data channel .* open`)
		}
	}
	if err != nil {
		end()
	}
	return first, second, end, err
}

func (l *lab) connectPion(ctx context.Context) (float64, error) {
	_, second, end, err := l.meetPion(ctx)
	if err != nil {
		return 0, err
	}
	defer end()
	return milliseconds(time.Since(second.began)), nil
}

// weron starts weron's signaling server and a first peer, which waits, and then a second one.
func (l *lab) weron(ctx context.Context, utility string) (second *process, end func(), err error) {
	path, err := l.program(ctx, "weron")
	if err != nil {
		return nil, nil, err
	}
	port, err := freePort(1)
	if err != nil {
		return nil, nil, err
	}
	address := fmt.Sprintf("127.0.0.1:%d", port)
	s, err := l.start(ctx, nil, path, "signaler", "--laddr", address, "--api-password", "report")
	if err != nil {
		return nil, nil, err
	}
	args := []string{"utility", utility, "--raddr", "ws://" + address + "/", "--community", "report", "--password", "report", "--key", "report", "--ice", ""}
	if utility == "latency" {
		args = append(args, "--packet-length", "64", "--pause", "2ms")
	}
	var first *process
	if err = listens(ctx, address); err == nil {
		if first, err = l.start(ctx, nil, path, append(args, "--server")...); err == nil {
			if _, err = first.waitFor(ctx, `Connected to signaler`); err == nil {
				second, err = l.start(ctx, nil, path, args...)
			}
		}
	}
	end = func() {
		for _, p := range []*process{second, first, s} {
			if p != nil {
				p.stop()
			}
		}
	}
	if err != nil {
		end()
	}
	return second, end, err
}

func (l *lab) connectWeron(ctx context.Context) (float64, error) {
	second, end, err := l.weron(ctx, "latency")
	if err != nil {
		return 0, err
	}
	defer end()
	if _, err := second.waitFor(ctx, `Connected to peer`); err != nil {
		return 0, err
	}
	return milliseconds(time.Since(second.began)), nil
}

// weronTime is how long weron's utilities measure.
const weronTime = 5 * time.Second

// weronUtility returns the number that a utility of weron prints as the average when it is interrupted, in
// milliseconds if it is a time.
func (l *lab) weronUtility(ctx context.Context, utility, pattern string) (float64, error) {
	p, end, err := l.weron(ctx, utility)
	if err != nil {
		return 0, err
	}
	defer end()
	if _, err := p.waitFor(ctx, `Connected to peer`); err != nil {
		return 0, err
	}
	select {
	case <-time.After(weronTime):
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		return 0, err
	}
	found, err := p.waitFor(ctx, `Average `+pattern)
	if err != nil {
		return 0, err
	}
	if d, err := time.ParseDuration(found[1]); err == nil {
		return milliseconds(d), nil
	}
	return strconv.ParseFloat(found[1], 64)
}

// croc sends path through a relay on loopback, and returns the time from the receiver's exec until it has ended.
func (l *lab) croc(ctx context.Context, path string) (time.Duration, error) {
	program, err := l.program(ctx, "croc")
	if err != nil {
		return 0, err
	}
	port, err := freePort(6)
	if err != nil {
		return 0, err
	}
	address, code := fmt.Sprintf("127.0.0.1:%d", port), []string{"CROC_SECRET=1234-alpha-beta-gamma"}
	relay, err := l.start(ctx, nil, program, "relay", "--host", "127.0.0.1", "--port", strconv.Itoa(port), "--transfers", "5")
	if err != nil {
		return 0, err
	}
	defer relay.stop()
	if err := listens(ctx, address); err != nil {
		return 0, err
	}
	flags := []string{"--relay", address, "--disable-clipboard", "--ignore-stdin", "--yes", "--overwrite"}
	sender, err := l.start(ctx, code, program, append(flags, "send", "--no-local", "--code", "1234-alpha-beta-gamma", path)...)
	if err != nil {
		return 0, err
	}
	defer sender.stop()
	if _, err := sender.waitFor(ctx, `On the other computer run|Code is`); err != nil {
		return 0, err
	}
	time.Sleep(time.Second) // it prints the code before its room is open
	receiver, err := l.start(ctx, code, program, flags...)
	if err != nil {
		return 0, err
	}
	defer receiver.stop()
	err = receiver.wait()
	took := time.Since(receiver.began)
	if _, missing := os.Stat(filepath.Join(receiver.cmd.Dir, filepath.Base(path))); err == nil && missing != nil {
		err = fmt.Errorf("nothing has arrived: %w", missing)
	}
	_ = os.RemoveAll(receiver.cmd.Dir)
	return took, err
}

func (l *lab) sendCroc(ctx context.Context, size int) (float64, error) {
	path, err := l.random(size)
	if err != nil {
		return 0, err
	}
	took, err := l.croc(ctx, path)
	return float64(size) / 1e6 / took.Seconds(), err
}

func (l *lab) crocFolder(ctx context.Context) (float64, error) {
	path, err := l.makeFolder()
	if err != nil {
		return 0, err
	}
	took, err := l.croc(ctx, path)
	return took.Seconds(), err
}
