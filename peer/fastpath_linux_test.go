package peer_test

import (
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"
)

// A file of 64 MiB from disk to disk, hashed at both ends, over QUIC and over a DataChannel, beside the same bytes over a bare
// detached DataChannel in memory, from the first byte to the last. They take turns. Medians; the time of the processor
// is that of both ends.
func BenchmarkFile(b *testing.B) {
	const size, chunk = 64 << 20, 64 << 10
	path := filepath.Join(b.TempDir(), "data")
	if err := os.WriteFile(path, noise(size), 0o600); err != nil {
		b.Fatal(err)
	}
	quick, plain := newFreight(b, quiet()), newFreight(b, dataChannelsOnly())
	near, far, hangUp := bare(b)
	defer hangUp()
	message, buffer := make([]byte, chunk), make([]byte, chunk)
	transports := []struct {
		name string
		send func()
	}{
		{"quic", func() { quick.send(b, path) }},
		{"datachannel", func() { plain.send(b, path) }},
		{"bare", func() {
			var wg sync.WaitGroup
			defer wg.Wait()
			wg.Go(func() {
				for range size / chunk {
					if _, err := near.Write(message); err != nil {
						b.Error(err)
						return
					}
				}
			})
			for range size / chunk {
				if _, err := far.Read(buffer); err != nil {
					b.Fatal(err)
				}
			}
		}},
	}
	walls, cpus := map[string][]time.Duration{}, map[string][]time.Duration{}
	for b.Loop() {
		for _, w := range transports {
			s := spending(b, w.send)
			walls[w.name], cpus[w.name] = append(walls[w.name], s.wall), append(cpus[w.name], s.cpu)
		}
	}
	b.ReportMetric(0, "ns/op")
	for _, w := range transports {
		slices.Sort(walls[w.name])
		slices.Sort(cpus[w.name])
		b.ReportMetric(size/1e6/p(.5, walls[w.name]).Seconds(), "MB/s-"+w.name)
		b.ReportMetric(p(.5, cpus[w.name]).Seconds()*(1<<30)/size, "cpu-s/GiB-"+w.name)
	}
}
