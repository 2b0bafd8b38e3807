package natsstore_test

import (
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

// nodeVariable makes a NATS server of this test program: what follows says which.
const nodeVariable = "NATSSTORE_TEST_NODE"

type nodeConfig struct {
	Index int
	Ports []int
	Dir   string
}

// runNode is a NATS server until its parent, who holds the other end of its input, ends.
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
	os.Exit(0) // at once: this is no clean end
}

// processes runs n NATS servers, each a process of its own.
func processes(t *testing.T, n int) (kill map[string]func(), url string) {
	t.Helper()
	ports := freePorts(t, 2*n)
	kill = map[string]func(){}
	for i := range n {
		config, err := json.Marshal(nodeConfig{i, ports, t.TempDir()})
		ok(t, err)
		cmd := exec.CommandContext(t.Context(), os.Args[0]) //nolint:gosec // this very binary
		cmd.Env = append(os.Environ(), nodeVariable+"="+string(config))
		stdin, err := cmd.StdinPipe()
		ok(t, err)
		ok(t, cmd.Start())
		end := sync.OnceFunc(func() {
			_ = cmd.Process.Kill() // SIGKILL
			_ = cmd.Wait()
			_ = stdin.Close()
		})
		t.Cleanup(end)
		kill[fmt.Sprint("n", i)] = end
	}
	return kill, address(ports)
}

// TestALeaderIsKilled has two replicas serve calls while the node that leads the stream is
// killed: calls wait, none fails, and nothing that was acknowledged is lost.
func TestALeaderIsKilled(t *testing.T) {
	kill, url := processes(t, 3)
	var conn *natsgo.Conn
	eventually(t, "the cluster is up", func() (up bool) {
		c, err := natsgo.Connect(url)
		if err != nil {
			return false
		}
		js, err := jetstream.New(c)
		ok(t, err)
		if info, err := js.AccountInfo(t.Context()); err != nil || info == nil {
			c.Close()
			return false
		}
		conn = c
		return true
	})
	defer conn.Close()
	var at [2]*natsstore.Store
	for i := range at {
		eventually(t, "three replicas of the stream", func() bool {
			s, err := natsstore.Open(t.Context(), natsstore.Config{URL: url, Patience: 20 * time.Second, Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
			at[i] = s
			return err == nil
		})
		defer at[i].Stop()
	}
	js, err := jetstream.New(conn)
	ok(t, err)
	stream, err := js.Stream(t.Context(), "sig")
	ok(t, err)
	if n := stream.CachedInfo().Config.Replicas; n != 3 {
		t.Fatalf("the stream has %d replicas", n)
	}

	var done, worst atomic.Int64
	warm, killed := make(chan struct{}), make(chan struct{})
	var all sync.WaitGroup
	for worker := range 8 {
		all.Go(func() {
			for n, after := 0, 0; after < 5; n++ {
				started := time.Now()
				if err := meet(t, at[worker%2], at[(worker+1)%2], fmt.Sprintf("w%dn%d", worker, n)); err != nil {
					t.Error(err)
				}
				took := int64(time.Since(started))
				for was := worst.Load(); took > was && !worst.CompareAndSwap(was, took); was = worst.Load() {
				}
				if done.Add(1) == 40 {
					close(warm)
				}
				select {
				case <-killed:
					after++
				default:
				}
			}
		})
	}
	<-warm
	info, err := stream.Info(t.Context())
	ok(t, err)
	kill[info.Cluster.Leader]()
	close(killed)
	all.Wait()
	t.Logf("%d calls, the slowest took %v", done.Load(), time.Duration(worst.Load()).Round(time.Millisecond))

	for i, s := range at {
		eventually(t, "every room stands at both", func() bool { return s.Rooms() == int(done.Load()) })
		for worker := range 8 {
			room := fmt.Sprintf("w%dn%d", worker, 0)
			list, err := s.Candidates(t.Context(), signaling.Ticket{Room: room}, signaling.Callee, 0, 0)
			if err != nil || len(list) != 2 {
				t.Errorf("replica %d, room %s: %q, %v", i, room, list, err)
			}
		}
	}
}

// meet is a call whose caller is at one replica and whose callee is at the other.
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
	for i := range 2 { // without an index: what is doubled by a repetition shows
		if n, err := b.AddCandidates(t.Context(), callee, -1, signaling.Candidate("{}")); err != nil || n != i+1 {
			return fmt.Errorf("adding candidate %d: %d, %w", i, n, err)
		}
	}
	if _, err := a.Candidates(t.Context(), caller, signaling.Callee, 1, signaling.Forever); err != nil {
		return fmt.Errorf("reading candidates: %w", err)
	}
	return nil
}
