package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"time"
)

// serve starts a signaling server, and returns its address.
func (l *lab) serve(ctx context.Context) (*process, string, error) {
	s, err := l.start(ctx, nil, l.ours, "serve", "--listen", "127.0.0.1:0", "--rate", "client=0")
	if err != nil {
		return nil, "", err
	}
	found, err := s.waitFor(ctx, `listening on (\S+)`)
	if err != nil {
		s.stop()
		return nil, "", err
	}
	return s, found[1], nil
}

// meet starts a caller with that face and, once it waits, an answerer.
func (l *lab) meet(ctx context.Context, face, code string, callee, caller []string) (first, second *process, end func(), err error) {
	s, address, err := l.serve(ctx)
	if err != nil {
		return nil, nil, nil, err
	}
	end = s.stop
	start := l.start
	if face == "tui" {
		start = l.startInTerminal
	}
	flags := []string{code, "--server", address, "--ui", face}
	if first, err = start(ctx, nil, l.ours, slices.Concat([]string{"call"}, flags, caller)...); err == nil {
		end = func() { first.stop(); s.stop() }
		if _, err = first.waitFor(ctx, regexp.QuoteMeta(code)); err == nil {
			second, err = start(ctx, nil, l.ours, slices.Concat([]string{"answer"}, flags, callee)...)
		}
	}
	if err != nil {
		end()
		return nil, nil, nil, err
	}
	return first, second, func() { second.stop(); first.stop(); s.stop() }, nil
}

// connect measures the time from the answerer's exec until both have printed the other one's first line.
func (l *lab) connect(ctx context.Context, code string) (float64, error) {
	first, second, end, err := l.meet(ctx, "line", code, nil, nil)
	if err != nil {
		return 0, err
	}
	defer end()
	for _, p := range []*process{first, second} {
		if _, err := io.WriteString(p.in, "a first line\n"); err != nil {
			return 0, err
		}
	}
	for _, p := range []*process{first, second} {
		if _, err := p.waitFor(ctx, `^a first line$`); err != nil {
			return 0, err
		}
	}
	return milliseconds(time.Since(second.began)), nil
}

// A compared is what 'p2pchat bench … --json' prints.
type compared struct {
	Ours, Bare struct{ P50 float64 }
	BareSpeed  float64 `json:"bare_mb_per_second"`
}

func (l *lab) compare(ctx context.Context, name string, count int) (c compared, err error) {
	out, err := output(ctx, l.dir, nil, l.ours, "bench", name, "--json", "--count", strconv.Itoa(count))
	if err == nil {
		err = json.Unmarshal([]byte(out), &c)
	}
	return c, err
}

func (l *lab) bareSpeed(ctx context.Context) (float64, error) {
	c, err := l.compare(ctx, "transfer", 10)
	return c.BareSpeed, err
}

// random returns a file of random bytes of that size.
func (l *lab) random(size int) (string, error) {
	path := filepath.Join(l.dir, fmt.Sprintf("%d.bin", size))
	if info, err := os.Stat(path); err == nil && info.Size() == int64(size) {
		return path, nil
	}
	f, err := os.Create(path) //nolint:gosec // in the lab's folder
	if err != nil {
		return "", err
	}
	_, err = io.CopyN(f, rand.NewChaCha8([32]byte{}), int64(size))
	if closed := f.Close(); err == nil {
		err = closed
	}
	return path, err
}

// deliver measures the time until a file or folder has arrived, from the answerer's exec until both have ended.
func (l *lab) deliver(ctx context.Context, path string) (time.Duration, error) {
	into, err := os.MkdirTemp(l.dir, "into")
	if err != nil {
		return 0, err
	}
	defer func() { _ = os.RemoveAll(into) }()
	first, second, end, err := l.meet(ctx, "line", "417-amber-falcon", []string{"--accept-files", "--download-dir", into, "--leave-on-eof"}, []string{"--send", path, "--leave-on-eof"})
	if err != nil {
		return 0, err
	}
	defer end()
	_, _ = first.in.Close(), second.in.Close()
	if err := second.wait(); err != nil {
		return 0, err
	}
	if err := first.wait(); err != nil {
		return 0, err
	}
	took := time.Since(second.began)
	if _, err := os.Stat(filepath.Join(into, filepath.Base(path))); err != nil {
		return 0, fmt.Errorf("nothing has arrived: %w", err)
	}
	return took, nil
}

func (l *lab) sendFile(ctx context.Context, size int) (float64, error) {
	path, err := l.random(size)
	if err != nil {
		return 0, err
	}
	took, err := l.deliver(ctx, path)
	return float64(size) / 1e6 / took.Seconds(), err
}

func (l *lab) sendFolder(ctx context.Context) (float64, error) {
	path, err := l.makeFolder()
	if err != nil {
		return 0, err
	}
	took, err := l.deliver(ctx, path)
	return took.Seconds(), err
}

func (l *lab) tarFolder(ctx context.Context) (float64, error) {
	path, err := l.makeFolder()
	if err != nil {
		return 0, err
	}
	into, err := os.MkdirTemp(l.dir, "into")
	if err != nil {
		return 0, err
	}
	defer func() { _ = os.RemoveAll(into) }()
	began := time.Now()
	_, err = output(ctx, l.dir, []string{"FROM=" + path, "INTO=" + into}, "sh", "-c", `tar -C "$FROM" -cf - . | tar -C "$INTO" -xf -`)
	return time.Since(began).Seconds(), err
}
