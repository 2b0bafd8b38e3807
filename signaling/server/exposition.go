package server

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// The kinds of a family.
const (
	counting     = "counter"
	measuring    = "gauge"
	distributing = "histogram"
)

// A family is all samples of one metric, in Prometheus's text format (version 0.0.4).
type family struct {
	name, help, kind string

	mu      sync.Mutex // guards samples
	samples []labeled  // sorted by their labels
}

// A labeled is the sample with those labels: a="b",c="d".
type labeled struct {
	labels string
	sample sample
}

// A sample is what is counted or measured under one set of labels.
type sample interface {
	// write appends the sample's lines.
	write(b []byte, name, labels string) []byte
}

// get returns the sample with those labels, which it creates at first.
func (f *family) get(labels map[string]string, create func() sample) sample {
	all := make([]string, 0, len(labels))
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		all = append(all, fmt.Sprintf("%s=%q", name, labels[name]))
	}
	text := strings.Join(all, ",")
	f.mu.Lock()
	defer f.mu.Unlock()
	i, found := slices.BinarySearchFunc(f.samples, text, func(l labeled, text string) int { return strings.Compare(l.labels, text) })
	if !found {
		f.samples = slices.Insert(f.samples, i, labeled{text, create()})
	}
	return f.samples[i].sample
}

// counter returns the counter with those labels.
func (f *family) counter(labels map[string]string) *counter {
	return f.get(labels, func() sample { return new(counter) }).(*counter)
}

// histogram returns the histogram with those labels.
func (f *family) histogram(labels map[string]string) *histogram {
	return f.get(labels, func() sample { return new(histogram) }).(*histogram)
}

// writeTo writes the family, unless it has no samples yet.
func (f *family) writeTo(w io.Writer) {
	f.mu.Lock()
	samples := slices.Clone(f.samples)
	f.mu.Unlock()
	if len(samples) == 0 {
		return
	}
	b := fmt.Appendf(nil, "# HELP %s %s\n# TYPE %[1]s %[3]s\n", f.name, f.help, f.kind)
	for _, one := range samples {
		b = one.sample.write(b, f.name, one.labels)
	}
	_, _ = w.Write(b) // a scraper that is gone misses nothing
}

// appendLine appends a line with a value.
func appendLine(b []byte, name, labels string, value float64) []byte {
	b = append(b, name...)
	if labels != "" {
		b = append(append(append(b, '{'), labels...), '}')
	}
	return append(strconv.AppendFloat(append(b, ' '), value, 'f', -1, 64), '\n')
}

// A counter counts.
type counter struct{ n atomic.Int64 }

func (c *counter) add(n int64) { c.n.Add(n) }

func (c *counter) write(b []byte, name, labels string) []byte {
	return appendLine(b, name, labels, float64(c.n.Load()))
}

// A gauge measures when it is asked.
type gauge func() float64

func (g gauge) write(b []byte, name, labels string) []byte { return appendLine(b, name, labels, g()) }

// buckets are the upper bounds of durations. They go from an answer out of memory to a write while NATS looks for a leader.
var buckets = [...]time.Duration{
	100 * time.Microsecond, 300 * time.Microsecond, time.Millisecond, 3 * time.Millisecond, 10 * time.Millisecond, 30 * time.Millisecond,
	100 * time.Millisecond, 300 * time.Millisecond, time.Second, 3 * time.Second, 10 * time.Second, 30 * time.Second, time.Minute,
}

// A histogram counts durations by their buckets.
type histogram struct {
	counts [len(buckets) + 1]atomic.Int64 // of each bucket alone; the last one is above all bounds
	sum    atomic.Int64                   // in ns
}

func (h *histogram) observe(took time.Duration) {
	i, _ := slices.BinarySearch(buckets[:], took) // a bound belongs to the bucket below it
	h.counts[i].Add(1)
	h.sum.Add(int64(took))
}

func (h *histogram) write(b []byte, name, labels string) []byte {
	before := labels
	if labels != "" {
		before += ","
	}
	total := int64(0)
	for i := range h.counts {
		bound := "+Inf"
		if i < len(buckets) {
			bound = strconv.FormatFloat(buckets[i].Seconds(), 'f', -1, 64)
		}
		total += h.counts[i].Load()
		b = appendLine(b, name+"_bucket", before+`le="`+bound+`"`, float64(total))
	}
	b = appendLine(b, name+"_sum", labels, time.Duration(h.sum.Load()).Seconds())
	return appendLine(b, name+"_count", labels, float64(total))
}
