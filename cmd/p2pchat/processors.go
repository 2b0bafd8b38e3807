package main

import (
	"context"
	"io"
	"os"
	"runtime"
	"sync"
	"time"

	"p2pchat/chat"
)

// idleShare is how much of one processor an idle call uses at most.
const idleShare = 0.03

// shortestLook is the shortest time that shows whether the process is idle: a file that has just begun has not used its share yet.
const shortestLook = time.Second

// theProcessors are those of this process: there may be several calls in it (demo).
var theProcessors = &processors{count: runtime.GOMAXPROCS, reset: resetProcessors, spent: processorTime}

// A processors has the process use one processor while it is idle.
//
// Go wakes a thread for each packet and timer, which wakes a second one to look for more work if there is a processor for it, and that
// one finds nothing: half of the wake-ups of an idle call. A call looks every few seconds how much it has to do, and takes all
// processors back at once when a file begins or the connection is lost.
type processors struct {
	count func(n int) (before int)      // runtime.GOMAXPROCS
	reset func(n int)                   // to n, which were used before
	spent func() (time.Duration, error) // by all threads so far

	mu     sync.Mutex // guards what follows
	all    int        // that were used before; 0 while all are
	looked time.Time  // when the last note was made; zero without one
	used   time.Duration
}

// look takes one processor if the process has done little since the last look, and else all.
func (p *processors) look() {
	p.mu.Lock()
	defer p.mu.Unlock()
	looked, used := p.looked, p.used
	if time.Since(looked) < shortestLook {
		return
	}
	if !p.note() || looked.IsZero() {
		return
	}
	if share := float64(p.used-used) / float64(p.looked.Sub(looked)); share > idleShare {
		p.takeAll()
	} else if p.all == 0 {
		p.all = p.count(1)
	}
}

// useAll takes all processors, as there is something to do.
func (p *processors) useAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.note()
	p.takeAll()
}

// note notes how much the process has done so far, and reports whether that is known.
func (p *processors) note() bool {
	used, err := p.spent()
	if err != nil {
		return false
	}
	p.looked, p.used = time.Now(), used
	return true
}

func (p *processors) takeAll() {
	if p.all > 0 {
		p.reset(p.all)
	}
	p.all = 0
}

// resetProcessors uses n processors, or as many as Go finds for this process from now on: their number may change.
func resetProcessors(n int) {
	if os.Getenv("GOMAXPROCS") != "" {
		runtime.GOMAXPROCS(n)
		return
	}
	runtime.SetDefaultGOMAXPROCS()
}

// A busyPipe takes all processors for each further channel: a file begins.
type busyPipe struct {
	chat.Pipe
	processors *processors
}

func (p busyPipe) Open(ctx context.Context) (io.ReadWriteCloser, error) {
	p.processors.useAll()
	return p.Pipe.Open(ctx)
}

func (p busyPipe) Accept(ctx context.Context) (io.ReadWriteCloser, error) {
	c, err := p.Pipe.Accept(ctx)
	p.processors.useAll()
	return c, err
}
