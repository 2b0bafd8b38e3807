//go:build unix

package server

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"p2pchat/signaling/memstore"
)

// A call is what two peers ask of the server from the first request to the last.
// ROOM stands for the room's name.
var call = []struct{ method, path, body, token string }{
	{"POST", "/rooms/ROOM/offer", anOffer, "caller"},
	{"GET", "/rooms/ROOM/offer", "", ""},
	{"POST", "/rooms/ROOM/answer", anAnswer, "callee"},
	{"GET", "/rooms/ROOM/answer", "", "caller"},
	{"POST", "/rooms/ROOM/offer-candidates?at=0", "[" + aCandidate + "," + aCandidate + "]", "caller"},
	{"GET", "/rooms/ROOM/offer-candidates?after=0", "", "callee"},
	{"POST", "/rooms/ROOM/answer-candidates?at=0", "[" + aCandidate + "," + aCandidate + "]", "callee"},
	{"GET", "/rooms/ROOM/answer-candidates?after=0", "", "caller"},
	{"DELETE", "/rooms/ROOM", "", "caller"},
}

// BenchmarkWholeCall compares 64 clients who make calls with 64 who send as many
// requests to an echo that does nothing.
func BenchmarkWholeCall(b *testing.B) {
	s := New(memstore.New(memstore.Limits{}), Config{Log: slog.New(slog.DiscardHandler)})
	bare := echo.New()
	bare.GET("/", func(c echo.Context) error { return c.NoContent(http.StatusNoContent) })
	nothing := func(client *http.Client, url string, _ int) {
		for range call {
			request(b, client, http.MethodGet, url+"/", "", "")
		}
	}
	whole := func(client *http.Client, url string, n int) {
		for _, r := range call {
			request(b, client, r.method, url+strings.Replace(r.path, "ROOM", fmt.Sprint("r", n), 1), r.body, r.token)
		}
	}
	least := crowd(b, bare, nothing)
	b.ResetTimer()
	took := crowd(b, s, whole)
	b.ReportMetric(float64(took)/float64(least), "x-bare-echo")
	b.ReportMetric(float64(b.N*len(call))/took.Seconds(), "requests/s")
}

// crowd has 64 clients call do b.N times in all, and returns the time that takes.
func crowd(b *testing.B, h http.Handler, do func(client *http.Client, url string, n int)) time.Duration {
	const clients = 64
	server := httptest.NewServer(h)
	defer server.Close()
	transport := &http.Transport{MaxIdleConnsPerHost: clients}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}

	var done atomic.Int64
	var all sync.WaitGroup
	started := time.Now()
	for range clients {
		all.Go(func() {
			for n := done.Add(1); n <= int64(b.N); n = done.Add(1) {
				do(client, server.URL, int(n))
			}
		})
	}
	all.Wait()
	return time.Since(started)
}

func request(b *testing.B, client *http.Client, method, url, body, token string) {
	req, err := http.NewRequestWithContext(b.Context(), method, url, strings.NewReader(body))
	if err != nil {
		b.Error(err)
		return
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := client.Do(req)
	if err != nil {
		b.Error(err)
		return
	}
	_, _ = io.Copy(io.Discard, res.Body)
	_ = res.Body.Close()
	if res.StatusCode/100 != 2 {
		b.Errorf("%s %s: %s", method, url, res.Status)
	}
}

// BenchmarkParkedReads measures what 10,000 waiting reads cost: memory, CPU time in one second
// without news, and the time until all of them are answered when the server stops. The clients are
// bare connections without a goroutine, so that nearly all of that is the server's.
func BenchmarkParkedReads(b *testing.B) {
	b.Run("parked", func(b *testing.B) { waitingReads(b, parkAfter) })
	b.Run("in their handlers", func(b *testing.B) { waitingReads(b, maxWait) })
}

func waitingReads(b *testing.B, parkAfter time.Duration) {
	reads := int(min(10_000, (files(b, 20_200)-200)/2)) // both ends of each are here
	for b.Loop() {
		s := New(memstore.New(memstore.Limits{}), Config{Log: slog.New(slog.DiscardHandler)})
		s.parkAfter = parkAfter
		address, stop := serve(b, s, patience)
		before := memory()
		conns := make([]net.Conn, reads)
		for i := range conns {
			c, err := net.Dial("tcp", address)
			if err != nil {
				b.Fatal(err)
			}
			conns[i] = c
			if _, err := fmt.Fprintf(c, "GET /rooms/r%d/offer HTTP/1.1\r\nHost: localhost\r\nPrefer: wait=60\r\n\r\n", i); err != nil {
				b.Fatal(err)
			}
		}
		(&site{Server: s, t: b}).untilWaiting(reads)
		if parkAfter < maxWait {
			(&site{Server: s, t: b}).untilParked(reads)
		}
		b.ReportMetric(float64(reads), "reads")
		b.ReportMetric(float64(memory()-before)/float64(reads)/1024, "KB/read")

		used := processor(b)
		<-time.After(time.Second)
		b.ReportMetric(float64((processor(b)-used).Microseconds())/1000, "CPU-ms/idle-s")

		drained := time.Now()
		s.Drain()
		(&site{Server: s, t: b}).untilWaiting(0)
		b.ReportMetric(float64(time.Since(drained).Milliseconds()), "ms-to-drain")
		for _, c := range conns {
			_ = c.Close()
		}
		if err := stop(); err != nil {
			b.Error(err)
		}
	}
}

// memory returns the bytes in use. Stacks shrink by half in each collection.
func memory() uint64 {
	for range 3 {
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}

func processor(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// files returns how many files may be open: want, if the system allows it.
func files(b *testing.B, want uint64) uint64 {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		b.Fatal(err)
	}
	if limit.Cur >= want {
		return want
	}
	raised := syscall.Rlimit{Cur: want, Max: max(want, limit.Max)}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &raised); err != nil {
		return limit.Cur
	}
	return want
}
