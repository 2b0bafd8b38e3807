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

// ms returns a time with three digits, or with all before the point.
func ms(n float64) string {
	if n >= 1000 {
		return fmt.Sprintf("%.0f ms", n)
	}
	return fmt.Sprintf("%.3g ms", n)
}

// Write writes the result as text, for the person who ran it.
func (r PathResult) Write(to io.Writer) error {
	var b strings.Builder
	verified := map[bool]string{true: "verified", false: "unverified"}[r.Verified]
	fmt.Fprintf(&b, "%s path, %s, connected in %s\n\n", r.Path, verified, ms(r.Connect))
	fmt.Fprintf(&b, "%-24s %9s %9s %9s %9s   %s\n", "round trip", "least", "p50", "p99", "most", "pauses")
	trip := func(name string, t RoundTrip) {
		fmt.Fprintf(&b, "%-24s %9s %9s %9s %9s   %s\n", fmt.Sprintf("%s, %d times", name, t.Pings), ms(t.Min), ms(t.P50), ms(t.P99), ms(t.Most), pauses(t.Pauses, t.Longest))
	}
	trip("idle", r.Idle)
	if r.Loaded != nil {
		trip("beside data", *r.Loaded)
	}
	for _, way := range []struct {
		name string
		*Flow
	}{{"sent", r.Sent}, {"received", r.Received}} {
		if way.Flow != nil {
			fmt.Fprintf(&b, "\n%-24s %.3g MB/s: %s in %.1f s; %s", way.name, way.Speed, megabytes(way.Bytes), way.Time/1000, pauses(way.Pauses, way.Longest))
		}
	}
	if r.Sent != nil {
		b.WriteByte('\n')
	}
	_, err := io.WriteString(to, b.String())
	return err
}

func pauses(n int, longest float64) string {
	switch n {
	case 0:
		return "no pause"
	case 1:
		return "1 pause of " + ms(longest)
	}
	return fmt.Sprintf("%d pauses, the longest %s", n, ms(longest))
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }
