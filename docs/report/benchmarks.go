package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A metric is what a benchmark prints of a contender.
type metric struct {
	printed string // its unit in the benchmark's line
	name    string // of the contender
	unit    string
	scale   float64 // to that unit; 1 if zero
}

// benchLine matches a line of 'go test -bench'.
var benchLine = regexp.MustCompile(`(?m)^Benchmark(\S+?)(?:-\d+)?\s+\d+\s+(.*)$`)

// tests returns the program of a package's tests, which it builds at first: a build is no part of what is measured.
func (l *lab) tests(ctx context.Context, pkg string) (string, error) {
	path := filepath.Join(l.dir, strings.ReplaceAll(pkg, "/", "-")+".test")
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	_, err := output(ctx, l.root, nil, "go", "test", "-c", "-o", path, "./"+pkg)
	return path, err
}

// benchmark runs a benchmark of this module, and returns the metrics that are asked for, each as a figure.
func (l *lab) benchmark(ctx context.Context, pkg, pattern string, args []string, metrics ...metric) ([]figure, error) {
	program, err := l.tests(ctx, pkg)
	if err != nil {
		return nil, err
	}
	env := []string{"TMPDIR=" + l.dir, "P2PCHATTEST_NAT=1", "P2PCHATTEST_PROGRAM=" + l.ours, "P2PCHATTEST_CROC=" + l.programs["croc"]}
	if pkg == "peer" {
		env = append(env, "GOGC=300") // as call and answer have it
	}
	out, err := output(ctx, filepath.Join(l.root, pkg), env, program, append([]string{"-test.run", "^$", "-test.bench", pattern, "-test.timeout", "0"}, args...)...)
	var figures []figure
	for _, m := range metrics {
		f := figure{Name: m.name, Unit: m.unit, Why: "the benchmark did not print it"}
		for _, line := range benchLine.FindAllStringSubmatch(out, -1) {
			words := strings.Fields(line[2])
			at := slices.Index(words, m.printed)
			if at < 1 {
				continue
			}
			if v, bad := strconv.ParseFloat(words[at-1], 64); bad == nil {
				f.Values, f.Why = append(f.Values, v*cmp.Or(m.scale, 1)), ""
			}
		}
		figures = append(figures, f)
	}
	if err == nil && len(figures[0].Values) == 0 {
		err = fmt.Errorf("no such benchmark ran: %s", oneLine(out))
	}
	return figures, err
}

// benched is a row's run of one benchmark.
func benched(pkg, pattern string, args []string, metrics ...metric) func(context.Context, *lab) ([]figure, error) {
	return func(ctx context.Context, l *lab) ([]figure, error) {
		return l.benchmark(ctx, pkg, pattern, args, metrics...)
	}
}

// benchedEach is benched for parts of a benchmark, with the contender's name after each: one metric of each part.
func benchedEach(pkg, benchmark string, args []string, m metric, parts ...string) func(context.Context, *lab) ([]figure, error) {
	return func(ctx context.Context, l *lab) (all []figure, err error) {
		for i := 0; i+1 < len(parts) && err == nil; i += 2 {
			var figures []figure
			m.name = parts[i+1]
			figures, err = l.benchmark(ctx, pkg, "^"+benchmark+"$/^"+parts[i]+"$", args, m)
			all = append(all, figures...)
		}
		return all, err
	}
}

// roundTrip matches what the tests of peer say of each side.
var roundTrip = regexp.MustCompile(`([\d.]+)(?: round trips)? for the (caller|callee)`)

// roundTrips returns what the tests of peer that count round trips say of a call with a code.
func (l *lab) roundTrips(ctx context.Context) ([]figure, error) {
	program, err := l.tests(ctx, "peer")
	if err != nil {
		return nil, err
	}
	out, err := output(ctx, filepath.Join(l.root, "peer"), nil, program, "-test.run", "^(TestWhatACallCosts|TestRoundTrips)$", "-test.v")
	if err != nil {
		return nil, err
	}
	var figures []figure
	for _, of := range []struct{ line, name string }{
		{`verified +`, "p2pchat, verified"},
		{`plain +`, "two plain programs"},
		{`round trips: `, "p2pchat, without signaling"},
	} {
		line := regexp.MustCompile(`(?m)_test\.go:\d+: ` + of.line + `.*$`).FindString(out)
		for _, side := range roundTrip.FindAllStringSubmatch(line, -1) {
			v, bad := strconv.ParseFloat(side[1], 64)
			err = errors.Join(err, bad)
			figures = append(figures, figure{Name: of.name + ", " + side[2], Unit: "round trips", Values: []float64{v}})
		}
	}
	if len(figures) != 6 {
		err = errors.Join(err, fmt.Errorf("the tests print something else: %s", oneLine(out)))
	}
	return figures, err
}
