package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"time"
)

// How long idle programs rest before they are measured, and are watched.
const (
	rest    = 5 * time.Second // what connecting leaves behind ends
	watched = 10 * time.Second
)

// idle measures both sides of connected programs that say nothing, in line mode and in a terminal, and of pion's example.
func (l *lab) idle(ctx context.Context, unit string, measure func([]*process) []float64) (figures []figure, err error) {
	for _, c := range []struct {
		name string
		meet func(context.Context) (first, second *process, end func(), err error)
	}{
		{"p2pchat, line mode", func(ctx context.Context) (first, second *process, end func(), err error) {
			return l.meetIn(ctx, "line", `Connected`)
		}},
		{"p2pchat, in a terminal", func(ctx context.Context) (first, second *process, end func(), err error) {
			return l.meetIn(ctx, "tui", `verified`)
		}},
		{label("pion answer"), l.meetPion},
	} {
		f := figure{Name: c.name, Unit: unit}
		first, second, end, err := c.meet(ctx)
		if err == nil {
			time.Sleep(rest)
			f.Values = measure([]*process{first, second})
			end()
		} else if f.Why = oneLine(err.Error()); len(figures) == 0 {
			return nil, err
		}
		fmt.Printf("  %s: %s\n", f.Name, f)
		figures = append(figures, f)
	}
	return figures, nil
}

// meetIn connects two programs with that face, and waits until both show what matches connected.
func (l *lab) meetIn(ctx context.Context, face, connected string) (first, second *process, end func(), err error) {
	first, second, end, err = l.meet(ctx, face, "417-amber-falcon", nil, nil)
	if err != nil {
		return nil, nil, nil, err
	}
	for _, p := range []*process{first, second} {
		if _, err := p.waitFor(ctx, connected); err != nil {
			end()
			return nil, nil, nil, err
		}
	}
	return first, second, end, nil
}

// resident returns the programs' resident memory, in MB.
func resident(all []*process) (values []float64) {
	for _, p := range all {
		values = append(values, statusSum(p, "status", "VmRSS")/1000)
	}
	return values
}

// wakeUps watches the programs, and returns how often a second their threads have waited.
func wakeUps(all []*process) (values []float64) {
	for _, p := range all {
		values = append(values, -statusSum(p, "task/*/status", "voluntary_ctxt_switches"))
	}
	time.Sleep(watched)
	for i, p := range all {
		values[i] = (values[i] + statusSum(p, "task/*/status", "voluntary_ctxt_switches")) / watched.Seconds()
	}
	return values
}

// statusSum adds up a field of the files in /proc that match (proc(5)).
func statusSum(p *process, files, field string) (sum float64) {
	paths, _ := filepath.Glob(fmt.Sprintf("/proc/%d/%s", p.cmd.Process.Pid, files)) // the pattern is correct
	for _, path := range paths {
		b, _ := os.ReadFile(path) //nolint:gosec // a thread may have ended
		if found := regexp.MustCompile(`(?m)^` + field + `:\s*(\d+)`).FindStringSubmatch(string(b)); found != nil {
			n, _ := strconv.ParseFloat(found[1], 64)
			sum += n
		}
	}
	return sum
}
