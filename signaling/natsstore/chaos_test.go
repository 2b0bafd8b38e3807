package natsstore_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/nats-io/nats-server/v2/server"

	"p2pchat/signaling"
	"p2pchat/signaling/natsstore"
)

// nodeVariable makes this test program run as a NATS server; its value is a nodeConfig in JSON.
const nodeVariable = "NATSSTORE_TEST_NODE"

type nodeConfig struct {
	Index int
	Ports []int
	Dir   string
}

// runNode runs a NATS server until the parent process, which holds the other end of stdin, ends.
func runNode(config string) {
	var c nodeConfig
	if err := json.Unmarshal([]byte(config), &c); err != nil {
		panic(err)
	}
	node, err := server.NewServer(options(c.Index, c.Ports, c.Dir))
	if err != nil {
		panic(err)
	}
	node.Start()
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(0) // at once, as after a crash
}

// nodes are NATS servers, each in its own process.
type nodes struct {
	t       *testing.T
	configs map[string]nodeConfig // by the server's name
	running map[string]func()     // by the same name: kills the server
	url     string
}

func processes(t *testing.T, n int) *nodes {
	t.Helper()
	ports := freePorts(t, 2*n)
	p := &nodes{t: t, configs: map[string]nodeConfig{}, running: map[string]func(){}, url: address(ports)}
	t.Cleanup(func() {
		for name := range p.running {
			p.kill(name)
		}
	})
	for i := range n {
		name := fmt.Sprint("n", i)
		p.configs[name] = nodeConfig{i, ports, t.TempDir()}
		p.start(name)
	}
	return p
}

func (p *nodes) start(name string) {
	p.t.Helper()
	config, err := json.Marshal(p.configs[name])
	ok(p.t, err)
	cmd := exec.Command(os.Args[0]) //nolint:gosec // this very binary
	cmd.Env = append(os.Environ(), nodeVariable+"="+string(config))
	stdin, err := cmd.StdinPipe()
	ok(p.t, err)
	ok(p.t, cmd.Start())
	p.running[name] = func() {
		_ = cmd.Process.Kill() // SIGKILL
		_ = cmd.Wait()
		_ = stdin.Close()
	}
}

func (p *nodes) kill(name string) {
	p.running[name]()
	delete(p.running, name)
}

// TestALeaderIsKilled has two replicas serve calls while the node that leads the stream is
// killed: calls wait, no call fails, and no acknowledged write is lost.
func TestALeaderIsKilled(t *testing.T) {
	t.Parallel()
	chaos(t, 1, 40)
}

// TestChaos is the same for 500 calls and ten kills; each killed node is started again.
func TestChaos(t *testing.T) {
	if os.Getenv("P2PCHATTEST_CHAOS") == "" {
		t.Skip("it takes two minutes: P2PCHATTEST_CHAOS=1")
	}
	chaos(t, 10, 500)
}

// chaos serves at least calls calls while it kills that many leaders.
func chaos(t *testing.T, kills, calls int) {
	p := processes(t, 3)
	var at [2]*natsstore.Store
	for i := range at {
		eventually(t, "the store opens", func() bool {
			s, err := natsstore.Open(t.Context(), natsstore.Config{URL: p.url, Patience: 20 * time.Second, Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
			at[i] = s
			return err == nil
		})
		defer at[i].Stop()
	}
	conn, err := natsgo.Connect(p.url, natsgo.MaxReconnects(-1), natsgo.UserInfo("ann", "s3cret"))
	ok(t, err)
	defer conn.Close()
	js, err := jetstream.New(conn)
	ok(t, err)

	const workers = 8
	var done, worst atomic.Int64
	var rooms [workers]int
	over := make(chan struct{})
	var all sync.WaitGroup
	for worker := range workers {
		all.Go(func() {
			for after := 0; after < 5; rooms[worker]++ {
				started := time.Now()
				if err := meet(t, at[worker%2], at[(worker+1)%2], fmt.Sprintf("w%dn%d", worker, rooms[worker])); err != nil {
					t.Error(err)
				}
				took := int64(time.Since(started))
				for was := worst.Load(); took > was && !worst.CompareAndSwap(was, took); was = worst.Load() {
				}
				done.Add(1)
				select {
				case <-over:
					after++
				default:
				}
			}
		})
	}
	for n := range kills {
		due := int64(calls * (n + 1) / kills)
		eventually(t, "calls are served", func() bool { return done.Load() >= due })
		leader := ""
		eventually(t, "three nodes have the stream", func() bool {
			leader = leaderOf(t, js, "sig")
			return leader != ""
		})
		p.kill(leader)
		if n < kills-1 {
			p.start(leader)
		}
	}
	close(over)
	all.Wait()
	t.Logf("%d calls, %d leaders killed, the slowest call took %v", done.Load(), kills, time.Duration(worst.Load()).Round(time.Millisecond))

	for i, s := range at {
		eventually(t, "both replicas have every room", func() bool { return s.Rooms() == int(done.Load()) })
		for worker, n := range rooms {
			for n := range n {
				room := fmt.Sprintf("w%dn%d", worker, n)
				list, err := s.Candidates(t.Context(), signaling.Ticket{Room: room}, signaling.Callee, 0, 0)
				if err != nil || len(list) != 2 {
					t.Errorf("replica %d, room %s: %q, %v", i, room, list, err)
				}
			}
		}
	}
}

// leaderOf returns the node that leads the stream, or "" unless all three nodes have all of it.
func leaderOf(t *testing.T, js jetstream.JetStream, name string) string {
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	stream, err := js.Stream(ctx, name)
	if err != nil || stream.CachedInfo().Cluster == nil || len(stream.CachedInfo().Cluster.Replicas) != 2 {
		return ""
	}
	for _, r := range stream.CachedInfo().Cluster.Replicas {
		if !r.Current || r.Offline {
			return ""
		}
	}
	return stream.CachedInfo().Cluster.Leader
}

// meet makes a call with the caller at replica a and the callee at replica b.
func meet(t testing.TB, a, b signaling.Store, room string) error {
	caller, callee := signaling.NewTicket(room, signaling.Caller), signaling.NewTicket(room, signaling.Callee)
	if _, err := a.Offer(t.Context(), caller, offer); err != nil {
		return fmt.Errorf("offering: %w", err)
	}
	_, v, err := b.Description(t.Context(), callee, signaling.Caller, "", signaling.Forever)
	if err != nil {
		return fmt.Errorf("reading the offer: %w", err)
	}
	if _, err := b.Answer(t.Context(), callee, v, answer); err != nil {
		return fmt.Errorf("answering: %w", err)
	}
	if _, _, err := a.Description(t.Context(), caller, signaling.Callee, "", signaling.Forever); err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	for i := range 2 { // without an index, so that a write that is applied twice shows
		if n, err := b.AddCandidates(t.Context(), callee, -1, signaling.Candidate("{}")); err != nil || n != i+1 {
			return fmt.Errorf("adding candidate %d: %d, %w", i, n, err)
		}
	}
	if _, err := a.Candidates(t.Context(), caller, signaling.Callee, 1, signaling.Forever); err != nil {
		return fmt.Errorf("reading candidates: %w", err)
	}
	return nil
}
