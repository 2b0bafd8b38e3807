package bench

import (
	"math"
	"testing"
	"time"
)

func TestLoad(t *testing.T) {
	t.Run("a call is 16 requests and 5.7 KB of documents", func(t *testing.T) {
		bytes := 0
		for _, s := range Script() {
			bytes += len(s.Body)
		}
		if len(Script()) != 16 || bytes < 5_500 || bytes > 6_000 {
			t.Errorf("it is %d requests and %d bytes", len(Script()), bytes)
		}
	})
	t.Run("a quantile is right to a twentieth", func(t *testing.T) {
		var a, b Histogram
		for i := range 10_000 {
			h := &a
			if i%2 == 0 {
				h = &b
			}
			h.Add(time.Duration(i+1) * time.Millisecond)
		}
		a.merge(&b)
		s := a.Summary()
		for want, got := range map[float64]float64{5000: s.P50, 9000: s.P90, 9900: s.P99, 9990: s.P999, 10_000: s.Most} {
			if math.Abs(got-want) > want/20 {
				t.Errorf("%.0f ms became %.0f", want, got)
			}
		}
		var total uint64
		for _, bar := range a.bars() {
			total += bar.Requests
		}
		if total != 10_000 {
			t.Errorf("the bars have %d", total)
		}
	})
	t.Run("what is shorter or longer than every bucket is counted", func(t *testing.T) {
		var h Histogram
		h.Add(-time.Second)
		h.Add(time.Nanosecond)
		h.Add(24 * time.Hour)
		if s := h.Summary(); h.n != 3 || s.P50 > 0.001 || s.P999 < 600_000 {
			t.Errorf("%d: %+v", h.n, s)
		}
	})
}
