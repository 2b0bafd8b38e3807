package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// starts measures how long a program takes from exec to exit.
func starts(l *lab, name string, args ...string) contender {
	return contender{name, func(ctx context.Context) (float64, error) {
		path, err := l.path(ctx, name)
		if err != nil {
			return 0, err
		}
		c := command(ctx, l.dir, []string{"HOME=" + l.dir}, path, args...)
		began := time.Now()
		err = c.Run()
		return milliseconds(time.Since(began)), err
	}}
}

func size(l *lab, name string) contender {
	return contender{name, func(ctx context.Context) (float64, error) {
		path, err := l.path(ctx, name)
		if err != nil {
			return 0, err
		}
		info, err := os.Stat(path)
		if err != nil {
			return 0, err
		}
		return float64(info.Size()) / 1e6, nil
	}}
}

// path returns the path of the program, or of a rival.
func (l *lab) path(ctx context.Context, name string) (string, error) {
	if name == "p2pchat" {
		return l.ours, nil
	}
	return l.program(ctx, name)
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// makeFolder makes a folder of 10,000 small files in a new folder, and returns its path.
func (l *lab) makeFolder() (string, error) {
	root := filepath.Join(l.dir, "small")
	if _, err := os.Stat(root); err == nil {
		return root, nil
	}
	for i := range 100 {
		dir := filepath.Join(root, fmt.Sprintf("d%02d", i))
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return "", err
		}
		for j := range 100 {
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("f%02d", j)), []byte(strings.Repeat("x", 100)), 0o600); err != nil {
				return "", err
			}
		}
	}
	return root, nil
}
