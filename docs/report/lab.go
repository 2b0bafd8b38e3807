package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// A lab has the programs that are measured, in a temporary folder.
type lab struct {
	root, dir string
	commit    string
	ours      string            // path of the program
	programs  map[string]string // paths of the others, by name
	missing   map[string]string // why a program could not be built
}

// newLab builds this commit's program, as 'task build' does. Other programs are built when a row needs them.
func newLab(ctx context.Context, root string) (*lab, error) {
	base := os.TempDir()
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		base = "/dev/shm" // a disk is not what is measured
	}
	dir, err := os.MkdirTemp(base, "p2pchat-report")
	if err != nil {
		return nil, err
	}
	fmt.Println("building p2pchat")
	l := &lab{root: root, dir: dir, ours: filepath.Join(dir, "p2pchat"), programs: map[string]string{}, missing: map[string]string{}}
	version, err := output(ctx, root, nil, "git", "rev-parse", "--short", "HEAD")
	if err == nil {
		l.commit = strings.TrimSpace(version)
		if _, changed := output(ctx, root, nil, "git", "diff", "--quiet", "HEAD", "--", "cmd", "chat", "peer", "signaling", "go.mod", "go.sum"); changed != nil {
			l.commit += "-changed"
		}
		_, err = output(ctx, root, []string{"CGO_ENABLED=0"}, "go", "build", "-trimpath", "-ldflags", "-s -w -X main.version="+l.commit, "-o", l.ours, "./cmd/p2pchat")
	}
	if err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

func (l *lab) close() { _ = os.RemoveAll(l.dir) }

// A contender measures one value.
type contender struct {
	name    string
	measure func(context.Context) (float64, error)
}

// turn bounds one measurement of one contender.
const turn = time.Minute

// turns lets the contenders measure by turns. One that fails twice, or takes too long, is out.
func turns(ctx context.Context, n int, unit string, list ...contender) (figures []figure, err error) {
	failed := map[string]int{}
	for _, c := range list {
		figures = append(figures, figure{Name: label(c.name), Unit: unit})
	}
	for round := range n {
		for i, c := range list {
			if failed[c.name] > 1 || ctx.Err() != nil {
				continue
			}
			one, cancel := context.WithTimeout(ctx, turn)
			v, err := c.measure(one)
			late := one.Err() != nil
			cancel()
			if err != nil {
				failed[c.name]++
				if late {
					failed[c.name]++
					err = fmt.Errorf("it took more than %v", turn)
				}
				figures[i].Why = oneLine(err.Error())
				continue
			}
			figures[i].Values = append(figures[i].Values, v)
			if n <= 10 { // others are over soon
				fmt.Printf("  turn %d of %d: %s %s\n", round+1, n, figures[i].Name, figure{Unit: unit, Values: []float64{v}})
			}
		}
	}
	if len(figures[0].Values) == 0 {
		err = errors.New(figures[0].Why)
	}
	return figures, errors.Join(err, ctx.Err())
}

// machine describes the machine.
func machine() string {
	model, memory := "", ""
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		if found := regexp.MustCompile(`model name\s*: (.*)`).FindSubmatch(b); found != nil {
			model = string(found[1]) + ", "
		}
	}
	if b, err := os.ReadFile("/proc/meminfo"); err == nil {
		if found := regexp.MustCompile(`MemTotal:\s*(\d+)`).FindSubmatch(b); found != nil {
			n, _ := strconv.Atoi(string(found[1]))
			memory = fmt.Sprintf(", %d GB", n>>20)
		}
	}
	load := ""
	if b, err := os.ReadFile("/proc/loadavg"); err == nil {
		load = ", load " + strings.Fields(string(b))[0] + " before"
	}
	return fmt.Sprintf("%s%d cores%s, %s/%s, %s%s", model, runtime.NumCPU(), memory, runtime.GOOS, runtime.GOARCH, runtime.Version(), load)
}
