// Command report measures the program, its limits and its rivals, and writes docs/performance.md with a chart for
// each comparison. 'task bench:report' runs it. ROWS names the rows to measure; the others keep what was measured
// before (docs/performance/results.json), so that a run that was interrupted goes on with the rows that it lacks.
//
// 'report soak SAMPLES PICTURE' draws the samples of a soak instead ('task soak').
//
// Everything runs on this machine, over loopback or in network namespaces: rivals get a relay or signaling server
// of their own. Contenders of a row take turns, so that other work on the machine slows all of them.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// A figure is what was measured of one contender.
type figure struct {
	Name   string    `json:"name"`
	Unit   string    `json:"unit"`
	Values []float64 `json:"values,omitempty"`
	Why    string    `json:"why,omitempty"` // there are no values
}

// A result is what was measured of one row.
type result struct {
	Date    string   `json:"date"`
	Commit  string   `json:"commit"`
	Machine string   `json:"machine"`
	Figures []figure `json:"figures"`
	Failed  string   `json:"failed,omitempty"`
}

func main() {
	if len(os.Args) == 4 && os.Args[1] == "soak" {
		if err := drawSoak(os.Args[2], os.Args[3]); err != nil {
			fmt.Fprintln(os.Stderr, "report:", err)
			os.Exit(1)
		}
		return
	}
	ctx, _ := signal.NotifyContext(context.Background(), os.Interrupt) // until the program ends
	if err := run(ctx, strings.Fields(strings.ReplaceAll(os.Getenv("ROWS"), ",", " "))); err != nil {
		fmt.Fprintln(os.Stderr, "report:", err)
		os.Exit(1)
	}
}

// run measures the rows with these names, or all, and writes the page. A row that fails is written as failed.
func run(ctx context.Context, names []string) error {
	for _, name := range names {
		if !slices.Contains(rowNames(), name) {
			return fmt.Errorf("there is no row %q; there are: %s", name, strings.Join(rowNames(), ", "))
		}
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		return err
	}
	folder := filepath.Join(root, "docs", "performance")
	results := map[string]result{}
	if b, err := os.ReadFile(filepath.Join(folder, "results.json")); err == nil { //nolint:gosec // of this repository
		if err := json.Unmarshal(b, &results); err != nil {
			return err
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	maps.DeleteFunc(results, func(name string, _ result) bool { return !slices.Contains(rowNames(), name) }) // rows that no longer exist
	l, err := newLab(ctx, root)
	if err != nil {
		return err
	}
	defer l.close()
	if len(names) == 0 {
		names = rowNames()
	}
	var failed []string
	for i, r := range rows {
		if !slices.Contains(names, r.name) {
			continue
		}
		fmt.Printf("%s row %d of %d: %s\n", time.Now().Format(time.TimeOnly), i+1, len(rows), r.name)
		res := l.measure(ctx, r)
		if ctx.Err() != nil {
			left := slices.DeleteFunc(rowNames()[i:], func(name string) bool { return !slices.Contains(names, name) })
			return fmt.Errorf("interrupted; to go on: task bench:report ROWS=%q", strings.Join(left, " "))
		}
		if results[r.name] = res; res.Failed != "" {
			failed = append(failed, r.name)
		}
		if err := write(root, folder, results); err != nil { // after each row: an interrupt loses nothing
			return err
		}
	}
	if failed != nil {
		return fmt.Errorf("the page says why these have failed; to repeat them: task bench:report ROWS=%q", strings.Join(failed, " "))
	}
	return nil
}

// measure measures a row, for as long as it may take.
func (l *lab) measure(ctx context.Context, r row) result {
	res := result{Commit: l.commit, Date: time.Now().Format("2006-01-02 15:04"), Machine: machine()}
	err := l.prepare(ctx, r)
	if err == nil {
		began := time.Now()
		ctx, cancel := context.WithTimeoutCause(ctx, longest, fmt.Errorf("it took more than %v", longest))
		defer cancel()
		res.Figures, err = r.run(ctx, l)
		if err != nil && ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		fmt.Printf("  measured for %v\n", time.Since(began).Round(time.Second))
	}
	if err != nil {
		res.Failed = oneLine(err.Error())
		fmt.Println("  FAILED:", res.Failed)
	}
	for _, f := range res.Figures {
		fmt.Printf("  %-48s %s\n", f.Name, f)
	}
	return res
}

// prepare builds what the row needs: a build is no part of its time. A contender that could not be built says so itself.
func (l *lab) prepare(ctx context.Context, r row) (err error) {
	if r.root && (runtime.GOOS != "linux" || os.Geteuid() != 0) {
		return errors.New("it needs Linux, root, iproute2 and nftables")
	}
	for _, name := range r.needs {
		_, _ = l.program(ctx, name)
	}
	if r.tests != "" {
		_, err = l.tests(ctx, r.tests)
	}
	return err
}

func rowNames() (names []string) {
	for _, r := range rows {
		names = append(names, r.name)
	}
	return names
}

// oneLine returns the end of a text, on one line.
func oneLine(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > 300 {
		text = "… " + text[len(text)-300:]
	}
	return text
}
