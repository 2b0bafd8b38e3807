package bench

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// WriteStep writes the result of one step of Load.Climb as a line.
func (r Result) WriteStep(to io.Writer) error {
	_, err := fmt.Fprintf(to, "%5d at once: %6.0f calls a second, %d failed, a request p50 %s, p99 %s\n",
		r.Concurrency, r.CallsPerSecond, r.Failed, ms(r.Request.P50), ms(r.Request.P99))
	return err
}

// Write writes the result as text: the throughput, the errors, a table of times and a histogram.
func (r Result) Write(to io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%d calls of %d requests in %.1f s, %d at once\n\n", r.Served+r.Failed, len(script()), r.Seconds, r.Concurrency)
	fmt.Fprintf(&b, "%-24s %8.0f a second, %d failed\n", "calls", r.CallsPerSecond, r.Failed)
	fmt.Fprintf(&b, "%-24s %8.0f a second\n\n", "requests", r.RequestsPerSecond)
	for _, text := range slices.Sorted(maps.Keys(r.Errors)) {
		fmt.Fprintf(&b, "%8d × %s\n", r.Errors[text], text)
	}
	if len(r.Errors) > 0 {
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "%-24s %9s %9s %9s %9s %9s\n", "", "p50", "p90", "p99", "p99.9", "most")
	row := func(name string, s Summary) {
		fmt.Fprintf(&b, "%-24s %9s %9s %9s %9s %9s\n", name, ms(s.P50), ms(s.P90), ms(s.P99), ms(s.P999), ms(s.Most))
	}
	row("a call", r.Call)
	row("a request", r.Request)
	for _, name := range requestNames() {
		row("  "+name, r.Requests[name])
	}
	b.WriteByte('\n')
	most := uint64(0)
	for _, bar := range r.Histogram {
		most = max(most, bar.Requests)
	}
	for _, bar := range r.Histogram {
		fmt.Fprintf(&b, "≤ %9s %9d %s\n", ms(bar.Milliseconds), bar.Requests, strings.Repeat("█", int(40*bar.Requests/most))) //nolint:gosec // 40 at most
	}
	_, err := io.WriteString(to, b.String())
	return err
}

// Write writes the comparison as text, under the name of what was measured.
func (c Comparison) Write(to io.Writer, name string) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%-24s %9s %9s %9s %9s\n", fmt.Sprintf("%s, %d times", name, c.Count), "p50", "p90", "p99", "most")
	for _, row := range []struct {
		name string
		Summary
	}{{"p2pchat", c.Ours}, {"bare DataChannel", c.Bare}} {
		fmt.Fprintf(&b, "%-24s %9s %9s %9s %9s\n", row.name, ms(row.P50), ms(row.P90), ms(row.P99), ms(row.Most))
	}
	fmt.Fprintf(&b, "\n%.2f × the p50 of the bare DataChannel\n", c.Ratio)
	if c.Speed > 0 {
		fmt.Fprintf(&b, "%.0f MB/s; bare %.0f MB/s\n", c.Speed, c.BareSpeed)
	}
	_, err := io.WriteString(to, b.String())
	return err
}

func ms(n float64) string { return fmt.Sprintf("%.3g ms", n) }
