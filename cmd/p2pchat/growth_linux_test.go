package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"p2pchat/cmd/p2pchat/internal/bench"
)

// unlimited lets one address do what thousands would.
var unlimited = []string{"--rate", "client=0", "--connections", "client=0,all=0", "--max-rooms", "1000000"}

// TestGrowth prints how memory, latency and idle processor time grow, as rows of a table: it
// is `task bench:growth`, and measures one process of a server from another.
func TestGrowth(t *testing.T) {
	if os.Getenv("P2PCHATTEST_GROWTH") == "" {
		t.Skip("task bench:growth runs this")
	}
	sizes := func(variable, standard string) (list []int) {
		text := os.Getenv(variable)
		if text == "" {
			text = standard
		}
		for one := range strings.SplitSeq(text, ",") {
			n, err := strconv.Atoi(one)
			if err != nil {
				t.Fatalf("%s: %v", variable, err)
			}
			list = append(list, n)
		}
		return list
	}
	t.Run("rooms", func(t *testing.T) {
		fmt.Println("| rooms, each with a full exchange (5.7 KB of documents) | resident memory | a room | a request of a call beside them, p50, p99 | idle CPU |\n| --- | --- | --- | --- | --- |")
		for _, n := range sizes("ROOMS", "1000,10000,100000") {
			s := serves(t, nil, unlimited...)
			before := s.status("VmRSS")
			s.fills(n)
			idle, resident := s.idle(), s.status("VmRSS")
			w := bench.Load{Servers: []string{"http://" + s.address}, Concurrency: 8, Calls: 1000}
			r := w.Run(t.Context())
			if r.Failed > 0 {
				t.Errorf("%v", r.Errors)
			}
			fmt.Printf("| %d | %d MB | %.1f KB | %.2f ms, %.2f ms | %.2f %% |\n", n, resident>>10, float64(resident-before)/float64(n), r.Request.P50, r.Request.P99, idle)
			s.kill()
		}
	})
	t.Run("readers", func(t *testing.T) {
		fmt.Println("\n| reads that wait | resident memory | a read | from a write to its reader, p50, p99 | a request of a call beside them, p50, p99 | idle CPU |\n| --- | --- | --- | --- | --- | --- |")
		for _, n := range sizes("READERS", "1000,10000,19000") {
			s := serves(t, nil, unlimited...)
			before := s.status("VmRSS")
			conns := s.readers(n)
			if len(conns) < n {
				fmt.Printf("(the limit of open files lets %d of %d readers be)\n", len(conns), n)
			}
			idle, resident := s.idle(), s.status("VmRSS")
			w := bench.Load{Servers: []string{"http://" + s.address}, Concurrency: 8, Calls: 1000}
			r := w.Run(t.Context())
			if r.Failed > 0 {
				t.Errorf("%v", r.Errors)
			}
			heard := s.heard(conns[:min(len(conns), 500)])
			fmt.Printf("| %d | %d MB | %.1f KB | %.2f ms, %.2f ms | %.2f ms, %.2f ms | %.2f %% |\n",
				len(conns), resident>>10, float64(resident-before)/float64(len(conns)), heard.P50, heard.P99, r.Request.P50, r.Request.P99, idle)
			for _, c := range conns {
				_ = c.Close()
			}
			s.kill()
		}
	})
	t.Run("replicas", func(t *testing.T) {
		fmt.Println("\n| servers over one NATS node | calls a second | each | a request, p50, p99 | CPU of a server |\n| --- | --- | --- | --- | --- |")
		node, err := server.NewServer(&server.Options{
			Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true, JetStream: true, StoreDir: t.TempDir(), DisableJetStreamBanner: true,
		})
		if err != nil {
			t.Fatal(err)
		}
		node.Start()
		defer node.WaitForShutdown()
		defer node.Shutdown()
		if !node.ReadyForConnections(30 * time.Second) {
			t.Fatal("NATS does not start")
		}
		duration := durationOf(t, "DURATION", "10s")
		for _, n := range sizes("SERVERS", "1,2,3") {
			w := bench.Load{Concurrency: 64, Duration: duration}
			var all []*served
			for range n {
				s := serves(t, []string{"P2PCHAT_STORE=nats://" + node.Addr().String()}, unlimited...)
				all = append(all, s)
				w.Servers = append(w.Servers, "http://"+s.address)
			}
			used := all[0].processor()
			r := w.Run(t.Context())
			used = all[0].processor() - used
			if r.Failed > 0 {
				t.Errorf("%v", r.Errors)
			}
			fmt.Printf("| %d | %.0f | %.0f | %.2f ms, %.2f ms | %.0f %% |\n", n, r.CallsPerSecond, r.CallsPerSecond/float64(n), r.Request.P50, r.Request.P99, 100*used.Seconds()/r.Seconds)
			for _, s := range all {
				s.kill()
			}
		}
	})
}

// processor is the time that it has used: of /proc/PID/stat, in ticks of 10 ms.
func (s *served) processor() time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid))
	if err != nil {
		s.t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(text), ") ")
	f := strings.Fields(after)
	user, _ := strconv.Atoi(f[11])
	system, _ := strconv.Atoi(f[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}

// idle is how much of a processor it uses in 5 s in which nothing happens, in percent, once
// what was left of the work before is done.
func (s *served) idle() float64 {
	<-time.After(5 * time.Second)
	before := s.processor()
	<-time.After(5 * time.Second)
	return 100 * (s.processor() - before).Seconds() / 5
}

// fills makes n rooms with all that a call puts there.
func (s *served) fills(n int) {
	w := bench.Load{Servers: []string{"http://" + s.address}}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	defer client.CloseIdleConnections()
	var next atomic.Int64
	var all sync.WaitGroup
	for range 64 {
		all.Go(func() {
			for i := next.Add(1); i <= int64(n); i = next.Add(1) {
				for _, step := range bench.Script() {
					if step.Method != http.MethodPost {
						continue
					}
					if err := w.Send(context.Background(), client, step, fmt.Sprint("room", i), 0); err != nil {
						s.t.Errorf("%s: %v", step.Name(), err)
						return
					}
				}
			}
		})
	}
	all.Wait()
}

// readers parks n reads, or as many as there can be.
func (s *served) readers(n int) (conns []net.Conn) {
	for i := range n {
		c, err := net.Dial("tcp", s.address)
		if err != nil {
			break
		}
		conns = append(conns, c)
		if _, err := fmt.Fprintf(c, "GET /rooms/reader%d/offer HTTP/1.1\r\nHost: localhost\r\nPrefer: wait=60\r\n\r\n", i); err != nil {
			s.t.Fatal(err)
		}
	}
	return conns
}

// heard says how long it takes from writing offers to reading them, one after the other.
func (s *served) heard(readers []net.Conn) bench.Summary {
	w := bench.Load{Servers: []string{"http://" + s.address}}
	client := &http.Client{}
	defer client.CloseIdleConnections()
	var took bench.Histogram
	for i, c := range readers {
		_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
		first := make(chan error, 1)
		began := time.Now()
		go func() {
			_, err := io.ReadFull(c, make([]byte, 15))
			took.Add(time.Since(began))
			first <- err
		}()
		if err := w.Send(context.Background(), client, bench.Script()[0], fmt.Sprint("reader", i), 0); err != nil {
			s.t.Error(err)
		}
		if err := <-first; err != nil {
			s.t.Errorf("reader %d: %v", i, err)
		}
	}
	return took.Summary()
}
