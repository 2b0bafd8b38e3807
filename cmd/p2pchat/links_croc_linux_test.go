package main

import (
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"
)

// BenchmarkLinkOfCroc is how fast croc sends a file over the links of BenchmarkLink, through its relay, which has
// such a link to each side. 'task bench:report' builds croc, and says where it is (P2PCHATTEST_CROC).
func BenchmarkLinkOfCroc(b *testing.B) {
	needsLab(b)
	program := os.Getenv("P2PCHATTEST_CROC")
	if program == "" {
		b.Skip("P2PCHATTEST_CROC names no program")
	}
	for _, loss := range []float64{0, 0.001, 0.01} {
		b.Run(fmt.Sprintf("that loses %g %%", 100*loss), func(b *testing.B) {
			l := newLab(b, cone, cone, quality{delay: 12500 * time.Microsecond, loss: loss / 2, rate: 100e6 / 8})
			const size = 60_000_000
			path := filepath.Join(b.TempDir(), "data")
			data := make([]byte, size)
			_, _ = rand.Read(data) // croc compresses; it never fails
			if err := os.WriteFile(path, data, 0o600); err != nil {
				b.Fatal(err)
			}
			var took float64
			for b.Loop() {
				took += l.croc(program, path)
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64(b.N)*size/1e6/took, "MB/s")
		})
	}
}

// croc sends a file from a to b, and returns how many seconds it took from the first progress of the receiver.
func (l *lab) croc(program, path string) float64 {
	l.Helper()
	start := func(on string, args ...string) *process {
		home := l.TempDir()
		cmd := exec.Command("ip", append([]string{"netns", "exec", l.ns(on), program}, args...)...) //nolint:gosec // the person's who measures
		return launchCommand(l, cmd, home, append(os.Environ(), "HOME="+home, "CROC_SECRET=1234-alpha-beta-gamma"))
	}
	relay := start("s", "relay", "--host", serverAddress, "--port", "9009", "--transfers", "5")
	defer relay.kill()
	relay.notes(l, `9013`) // its last port
	flags := []string{"--relay", serverAddress + ":9009", "--disable-clipboard", "--ignore-stdin", "--yes", "--overwrite"}
	sender := start("a", append(flags, "send", "--no-local", "--code", "1234-alpha-beta-gamma", path)...)
	sender.notes(l, `1234-alpha-beta-gamma`)
	receiver := start("b", flags...)
	receiver.notes(l, regexp.QuoteMeta(filepath.Base(path))+`\s+\d+%`)
	begun := time.Now()
	receiver.finishes(l, 0)
	return time.Since(begun).Seconds()
}
