package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// BenchmarkLink is how fast a file goes over a link of 100 Mbit/s whose ends are 50 ms apart,
// there and back, and that loses some packets; beside it TCP (with CUBIC) over the same link,
// alone and at the same time, and two files at the same time. With 'task bench:links'.
func BenchmarkLink(b *testing.B) {
	needsLab(b)
	for _, c := range []struct {
		loss float64
		size int64 // of the file
		flow int64 // bytes by TCP
	}{{0, 60e6, 60e6}, {0.001, 60e6, 30e6}, {0.01, 60e6, 5e6}} {
		b.Run(fmt.Sprintf("that loses %g %%", 100*c.loss), func(b *testing.B) {
			l := newLab(b, cone, cone, quality{delay: 12500 * time.Microsecond, loss: c.loss / 2, rate: 100e6 / 8})
			l.serve("--relay", "--relay-open")
			path := filepath.Join(b.TempDir(), "data")
			if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Truncate(path, c.size)); err != nil {
				b.Fatal(err)
			}
			var alone, tcp, shared, beside, less float64
			for b.Loop() {
				alone += l.transfer(path)

				begun, flow := time.Now(), l.flow(c.flow)
				arrived := flow.wait()
				if arrived < c.flow {
					b.Fatalf("only %d bytes arrive by TCP", arrived)
				}
				tcp += time.Since(begun).Seconds()

				begun, flow = time.Now(), l.flow(1e12)
				shared += l.transfer(path)
				flow.near.Close()
				beside += float64(flow.wait()) / time.Since(begun).Seconds()

				less += l.share(path)
			}
			total := float64(b.N) * float64(c.size) / 1e6
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(total/alone, "MB/s")
			b.ReportMetric(float64(b.N)*float64(c.flow)/1e6/tcp, "TCP-MB/s")
			b.ReportMetric(total/shared, "shared-MB/s")
			b.ReportMetric(beside/float64(b.N)/1e6, "TCP-shared-MB/s")
			b.ReportMetric(100*less/float64(b.N), "%-of-the-slower-of-two")
		})
	}
}

// BenchmarkMessageDuringFile is how long a message takes, from its line to the other side's answer that it has been read, on a
// link of 5 Mbit/s and 50 ms that a file fills; beside it how long without the file. With 'task bench:links'.
func BenchmarkMessageDuringFile(b *testing.B) {
	needsLab(b)
	const messages = 50
	l := newLab(b, cone, cone, quality{delay: 12500 * time.Microsecond, rate: 5e6 / 8})
	l.serve("--relay", "--relay-open")
	path := filepath.Join(b.TempDir(), "data")
	if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Truncate(path, 100e6)); err != nil {
		b.Fatal(err)
	}
	var during, without []float64
	for b.Loop() {
		from, to := l.hold("", "")
		for range messages {
			without = append(without, l.delivers(from))
		}
		l.leave(from, to)
		from, to = l.hold(path, "")
		l.sees(from, `"bytes":[1-9]\d{5,},.*"type":"file-progress"`)
		for range messages {
			during = append(during, l.delivers(from))
		}
		l.leave(from, to)
	}
	slices.Sort(during)
	slices.Sort(without)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(without[len(without)/2], "ms-without-a-file")
	b.ReportMetric(during[len(during)/2], "ms/median")
	b.ReportMetric(during[len(during)*95/100], "ms/p95")
}

// delivers says something, and returns how many milliseconds it takes until it is delivered.
func (l *lab) delivers(p *process) float64 {
	l.Helper()
	before := strings.Count(p.out.String(), `"type":"delivered"`)
	begun := time.Now()
	l.say(p, "x")
	l.sees(p, fmt.Sprintf(`(?s)(?:"type":"delivered".*){%d}`, before+1))
	return float64(time.Since(begun).Microseconds()) / 1000
}

// hold connects a and b, with a file on its way from a unless path is empty.
func (l *lab) hold(path, room string) (a, b *process) {
	l.Helper()
	server, send := "http://"+serverAddress+":3000", []string(nil)
	if path != "" {
		send = []string{"--send", path}
	}
	code := "417" + room + "-falcon-zebra"
	a = l.start("a", append([]string{"call", code, "--server", server, "--ui", "json"}, send...)...)
	l.sees(a, `"type":"waiting"`)
	b = l.start("b", "answer", code, "--server", server, "--ui", "json", "--accept-files", "--download-dir", l.TempDir())
	l.sees(a, `"type":"connected"`)
	l.sees(b, `"type":"connected"`)
	return a, b
}

func (l *lab) leave(all ...*process) {
	for _, p := range all {
		_, _ = io.WriteString(p.in, `{"type":"leave"}`+"\n") // or else it is killed in the end
		<-p.ended
	}
}

// share sends two files at the same time, and returns how much of the bytes is of the slower one when the
// first has arrived.
func (l *lab) share(path string) float64 {
	l.Helper()
	one, to := l.hold(path, "1")
	two, also := l.hold(path, "2")
	sent := make(chan *process, 2)
	var wg sync.WaitGroup
	for _, p := range []*process{one, two} {
		wg.Go(func() {
			l.sees(p, `"type":"file-sent"`)
			sent <- p
		})
	}
	first := <-sent
	slower := one
	if first == one {
		slower = two
	}
	progress := regexp.MustCompile(`"bytes":(\d+),.*"size":(\d+),"type":"file-progress"`).FindAllStringSubmatch(slower.out.String(), -1)
	last := progress[len(progress)-1]
	bytes, err := strconv.ParseFloat(last[1], 64)
	size, err2 := strconv.ParseFloat(last[2], 64)
	if err := errors.Join(err, err2); err != nil {
		l.Fatal(err)
	}
	wg.Wait()
	l.leave(one, to, two, also)
	return bytes / (size + bytes)
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

// flow sends size bytes.
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
