package bench

import (
	"math"
	"time"
)

// A Summary has quantiles of durations, in milliseconds.
type Summary struct {
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p999"`
	Most float64 `json:"most"`
}

// A Bar counts the durations up to its bound that are longer than the bound of the bar before.
type Bar struct {
	Milliseconds float64 `json:"ms"`
	Requests     uint64  `json:"requests"`
}

// A Histogram counts durations in buckets whose bounds grow by a twentieth, from a microsecond on. Its
// zero value is empty.
type Histogram struct {
	counts [420]uint64 // to more than 10 minutes
	n      uint64
	most   time.Duration
}

const growth = 1.05

// Add counts d.
func (h *Histogram) Add(d time.Duration) {
	i := int(math.Ceil(math.Log(max(float64(d)/float64(time.Microsecond), 1)) / math.Log(growth)))
	h.counts[min(i, len(h.counts)-1)]++
	h.n++
	h.most = max(h.most, d)
}

func (h *Histogram) merge(other *Histogram) {
	for i, n := range other.counts {
		h.counts[i] += n
	}
	h.n += other.n
	h.most = max(h.most, other.most)
}

// bound returns the upper bound of bucket i, in milliseconds.
func bound(i int) float64 { return math.Pow(growth, float64(i)) / 1000 }

// quantile returns, in milliseconds, the bound of the bucket with quantile q (0 to 1), and the longest
// duration at most.
func (h *Histogram) quantile(q float64) float64 {
	most := float64(h.most) / float64(time.Millisecond)
	seen := uint64(0)
	for i, n := range h.counts {
		if seen += n; n > 0 && float64(seen) >= q*float64(h.n) {
			return min(bound(i), most)
		}
	}
	return most
}

// Summary returns the quantiles, each with an error of a twentieth at most.
func (h *Histogram) Summary() Summary {
	return Summary{h.quantile(.5), h.quantile(.9), h.quantile(.99), h.quantile(.999), float64(h.most) / float64(time.Millisecond)}
}

// bars returns the counts in steps that double, without the empty ones.
func (h *Histogram) bars() (list []Bar) {
	const width = 14 // growth^14 is about 2
	for from := 0; from < len(h.counts); from += width {
		b := Bar{Milliseconds: bound(from + width - 1)}
		for _, n := range h.counts[from:min(from+width, len(h.counts))] {
			b.Requests += n
		}
		if b.Requests > 0 {
			list = append(list, b)
		}
	}
	return list
}
