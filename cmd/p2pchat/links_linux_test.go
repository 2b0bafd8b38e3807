package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// BenchmarkLink is how fast a file goes over a link of 100 Mbit/s whose ends are 50 ms apart,
// there and back, and that loses some packets; beside it TCP (with CUBIC) over the same link,
// alone and at the same time. With 'task bench:links'.
func BenchmarkLink(b *testing.B) {
	needsLab(b)
	for _, c := range []struct {
		loss float64
		size int64
	}{{0, 60e6}, {0.001, 30e6}, {0.01, 10e6}} {
		b.Run(fmt.Sprintf("that loses %g %%", 100*c.loss), func(b *testing.B) {
			l := newLab(b, cone, cone, quality{delay: 12500 * time.Microsecond, loss: c.loss / 2, rate: 100e6 / 8})
			l.serve("--relay", "--relay-open")
			path := filepath.Join(b.TempDir(), "data")
			if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Truncate(path, c.size)); err != nil {
				b.Fatal(err)
			}
			var alone, tcp, shared, beside float64
			for b.Loop() {
				alone += l.transfer(path)

				begun, flow := time.Now(), l.flow(c.size)
				arrived := flow.wait()
				if arrived < c.size {
					b.Fatalf("only %d bytes arrive by TCP", arrived)
				}
				tcp += time.Since(begun).Seconds()

				begun, flow = time.Now(), l.flow(1e12)
				shared += l.transfer(path)
				flow.near.Close()
				beside += float64(flow.wait()) / time.Since(begun).Seconds()
			}
			total := float64(b.N) * float64(c.size) / 1e6
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(total/alone, "MB/s")
			b.ReportMetric(total/tcp, "TCP-MB/s")
			b.ReportMetric(total/shared, "shared-MB/s")
			b.ReportMetric(beside/float64(b.N)/1e6, "TCP-shared-MB/s")
		})
	}
}

// transfer sends a file from a to b, and returns how many seconds it took.
func (l *lab) transfer(path string) float64 {
	l.Helper()
	server := "http://" + serverAddress + ":3000"
	a := l.start("a", "call", "417-falcon-zebra", "--server", server, "--ui", "json", "--send", path, "--leave-on-eof")
	l.sees(a, `"type":"waiting"`)
	b := l.start("b", "answer", "417-falcon-zebra", "--server", server, "--ui", "json", "--accept-files", "--leave-on-eof", "--download-dir", l.TempDir())
	l.sees(b, `"type":"connected"`)
	begun := time.Now()
	a.in.Close()
	b.in.Close()
	l.sees(a, `"type":"file-sent"`)
	took := time.Since(begun)
	<-a.ended
	<-b.ended
	return took.Seconds()
}

// A flow is a TCP connection from a to the server, which is as far as b.
type flow struct {
	near    net.Conn
	arrived int64 // once it has ended
	ended   sync.WaitGroup
}

// flow sends so many bytes.
func (l *lab) flow(size int64) *flow {
	l.Helper()
	var listener net.Listener
	f := &flow{}
	l.inside("s", func() (err error) {
		listener, err = net.Listen("tcp4", ":4000") //nolint:gosec,noctx // in a namespace
		return err
	})
	l.inside("a", func() (err error) {
		dialer := net.Dialer{Timeout: 10 * time.Second, Control: cubic}
		f.near, err = dialer.Dial("tcp4", serverAddress+":4000") //nolint:noctx // of a benchmark
		return err
	})
	far, err := listener.Accept()
	if err := errors.Join(err, listener.Close()); err != nil {
		l.Fatal(err)
	}
	f.ended.Go(func() {
		defer f.near.Close()
		_, _ = io.CopyN(f.near, zeros{}, size)
	})
	f.ended.Go(func() {
		defer far.Close()
		f.arrived, _ = io.Copy(io.Discard, far)
	})
	return f
}

// cubic gives a socket the congestion control that most machines use (RFC 9438).
func cubic(_, _ string, c syscall.RawConn) error {
	var set error
	err := c.Control(func(fd uintptr) {
		set = unix.SetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION, "cubic")
	})
	return errors.Join(err, set)
}

// wait returns how many bytes have arrived.
func (f *flow) wait() int64 {
	f.ended.Wait()
	return f.arrived
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { return len(b), nil }

// inside does something where the sockets are those of a namespace.
func (l *lab) inside(name string, do func() error) {
	l.Helper()
	if err := inNamespace(l.ns(name), do); err != nil {
		l.Fatal(err)
	}
}
