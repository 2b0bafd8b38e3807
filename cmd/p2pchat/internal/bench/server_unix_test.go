//go:build unix

package bench

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"p2pchat/signaling/memstore"
	"p2pchat/signaling/server"
)

const (
	serverVariable  = "P2PCHATTEST_SERVER"  // makes the test binary one of the servers
	profileVariable = "P2PCHATTEST_PROFILE" // directory for the servers' CPU profiles; none if empty
)

func TestMain(m *testing.M) {
	if kind := os.Getenv(serverVariable); kind != "" {
		if err := serveMeasured(kind); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// BenchmarkServer measures the processor time (user and system) of a request of whole calls, 64 at once, at
// this module's server with all its middleware, at an echo that keeps the same documents in a map without
// looking at them, and at an echo that answers nothing. Each is a process of its own, and they take turns.
func BenchmarkServer(b *testing.B) {
	for _, scheme := range []string{"http", "https", "h2"} {
		b.Run(scheme, func(b *testing.B) {
			kinds := []string{"p2pchat", "map", "bare"}
			servers := map[string]*measured{}
			for _, kind := range kinds {
				servers[kind] = startMeasured(b, kind, scheme)
			}
			costs, ratios := map[string][]float64{}, map[string][]float64{}
			for b.Loop() {
				cost := map[string]float64{}
				for _, kind := range kinds {
					cost[kind] = servers[kind].cost(b)
					costs[kind] = append(costs[kind], cost[kind])
				}
				for _, kind := range kinds[1:] {
					ratios[kind] = append(ratios[kind], cost["p2pchat"]/cost[kind])
				}
			}
			for _, kind := range kinds {
				b.ReportMetric(median(costs[kind]), "µs/"+kind)
			}
			for _, kind := range kinds[1:] {
				b.ReportMetric(median(ratios[kind]), "x-"+kind)
			}
		})
	}
}

func median(list []float64) float64 { return slices.Sorted(slices.Values(list))[len(list)/2] }

// A measured is a server process.
type measured struct {
	load Load
	ask  io.Writer
	told *bufio.Reader
}

func startMeasured(b *testing.B, kind, scheme string) *measured {
	cmd := exec.Command(os.Args[0]) //nolint:gosec // this program
	cmd.Env = append(os.Environ(), serverVariable+"="+kind+"-"+scheme)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = in.Close()
		if err := cmd.Wait(); err != nil {
			b.Error(err)
		}
	})
	m := &measured{ask: in, told: bufio.NewReader(out), load: Load{Concurrency: 64, Calls: 1500}}
	address := m.line(b)
	if scheme == "http" {
		m.load.Servers = []string{"http://" + address}
	} else {
		m.load.Servers = []string{"https://" + address}
		m.load.tls = &tls.Config{InsecureSkipVerify: true} //nolint:gosec // a server that this test has started
	}
	m.cost(b) // warm up
	return m
}

// cost makes calls, and returns the server's processor time of a request, in µs.
func (m *measured) cost(b *testing.B) float64 {
	before := m.processor(b)
	r := m.load.Run(b.Context())
	if r.Failed > 0 {
		b.Fatal(r.Errors)
	}
	return float64((m.processor(b) - before).Nanoseconds()) / 1000 / float64(r.Served*len(Script()))
}

func (m *measured) processor(b *testing.B) time.Duration {
	if _, err := fmt.Fprintln(m.ask); err != nil {
		b.Fatal(err)
	}
	ns, err := strconv.ParseInt(m.line(b), 10, 64)
	if err != nil {
		b.Fatal(err)
	}
	return time.Duration(ns)
}

func (m *measured) line(b *testing.B) string {
	line, err := m.told.ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	return strings.TrimSpace(line)
}

// serveMeasured serves until stdin ends. It writes its address, then for each line of stdin the
// nanoseconds of processor time that this process has used.
func serveMeasured(kind string) error {
	kind, scheme, _ := strings.Cut(kind, "-")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	address := l.Addr().String()
	if scheme != "http" {
		l = tls.NewListener(l, testTLS(scheme))
	}
	if directory := os.Getenv(profileVariable); directory != "" {
		f, err := os.Create(filepath.Join(directory, kind+"-"+scheme+".prof")) //nolint:gosec // named by the person who measures
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	go serveKind(kind, l)
	fmt.Println(address)
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			return err
		}
		fmt.Println(u.Utime.Nano() + u.Stime.Nano())
	}
	return nil
}

// testTLS returns a configuration with httptest's certificate.
func testTLS(scheme string) *tls.Config {
	s := httptest.NewUnstartedServer(nil)
	s.StartTLS()
	defer s.Close()
	next := "http/1.1"
	if scheme == "h2" {
		next = "h2"
	}
	return &tls.Config{Certificates: s.TLS.Certificates, NextProtos: []string{next}, MinVersion: tls.VersionTLS12}
}

func serveKind(kind string, l net.Listener) {
	const plenty = 1e6 // every limit is counted, and none is met
	if kind == "p2pchat" {
		s := server.New(memstore.New(memstore.Limits{Rooms: plenty, Client: plenty}), server.Config{
			Rate: server.Rate{Client: plenty, Burst: plenty, All: plenty}, Connections: server.Connections{Client: plenty, All: plenty},
			ClientWaiting: plenty, Log: slog.New(slog.DiscardHandler),
		})
		_ = s.Serve(context.Background(), l, time.Second) // until the process ends
		return
	}
	e := echo.New()
	if kind == "map" {
		serveMap(e)
	} else {
		e.Any("/*", func(c echo.Context) error { return c.NoContent(http.StatusNoContent) })
	}
	_ = http.Serve(l, e) //nolint:gosec // until the process ends
}

// serveMap keeps the last body that was posted to each address of a room.
func serveMap(e *echo.Echo) {
	var mu sync.Mutex
	rooms := map[string]map[string][]byte{}
	e.POST("/rooms/:room/:document", func(c echo.Context) error {
		body, err := io.ReadAll(c.Request().Body)
		if err != nil {
			return err
		}
		mu.Lock()
		room := rooms[c.Param("room")]
		if room == nil {
			room = map[string][]byte{}
			rooms[c.Param("room")] = room
		}
		room[c.Param("document")] = body
		mu.Unlock()
		return c.JSON(http.StatusCreated, map[string]string{"room": c.Param("room"), "token": c.Request().Header.Get("Authorization")})
	})
	e.GET("/rooms/:room/:document", func(c echo.Context) error {
		if c.Param("document") == "ice-servers" {
			return c.JSON(http.StatusOK, map[string]any{"iceServers": []string{}})
		}
		mu.Lock()
		document, found := rooms[c.Param("room")][c.Param("document")]
		mu.Unlock()
		if !found {
			return c.NoContent(http.StatusNotFound)
		}
		return c.JSONBlob(http.StatusOK, document)
	})
	e.DELETE("/rooms/:room", func(c echo.Context) error {
		mu.Lock()
		delete(rooms, c.Param("room"))
		mu.Unlock()
		return c.NoContent(http.StatusNoContent)
	})
}
