package main

import (
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/rogpeppe/go-internal/testscript"
)

// runNATS is the script's command that runs a NATS server until the script ends. Its
// address is in $NATS, for the user ann with the password s3cret.
func runNATS(ts *testscript.TestScript, _ bool, _ []string) {
	node, stop, err := startNATS(ts.MkAbs("nats"))
	ts.Check(err)
	ts.Defer(stop)
	ts.Setenv("NATS", node)
}

// startNATS starts a NATS server that stores in a folder, and returns its address. Its user is ann, with the password s3cret.
func startNATS(folder string) (address string, stop func(), err error) {
	node, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true, JetStream: true, StoreDir: folder,
		DisableJetStreamBanner: true, Username: "ann", Password: "s3cret",
	})
	if err != nil {
		return "", nil, err
	}
	node.Start()
	stop = func() {
		node.Shutdown()
		node.WaitForShutdown()
	}
	if !node.ReadyForConnections(30 * time.Second) {
		stop()
		return "", nil, errors.New("NATS does not start")
	}
	return node.Addr().String(), stop, nil
}

// A server whose store does not answer says to where it connects while it waits, and at the end, without the password.
func TestServerWhoseStoreDoesNotAnswer(t *testing.T) {
	inFull(t) // it waits for 12 s
	t.Parallel()
	silent, err := net.ListenTCP("tcp4", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	at := "nats://" + silent.Addr().String()
	serve := launch(t, "serve", "--listen", "127.0.0.1:0", "--store", "nats://ann:s3cret@"+silent.Addr().String())
	serve.notes(t, `p2pchat: connecting to the store at `+at+`, which has not answered yet`)
	serve.finishes(t, exitServer)
	if text := serve.err.String(); !strings.Contains(text, "error: the store cannot be reached at "+at+": ") || !strings.Contains(text, "hint: check --store") || strings.Contains(text, "s3cret") {
		t.Errorf("it says %s", text)
	}
}

func TestStoreIsNamedWithoutItsPassword(t *testing.T) {
	for where, want := range map[string]string{ //nolint:gosec // made up
		"nats://ann:s3@cret@a:1,tls://token@b,c:2,nats://d": "nats://a:1,tls://b,c:2,nats://d",
		"nats://ann:12,3,4@a,b":                             "nats://a,b",
		"nats://a,12@b":                                     "nats://b",
	} {
		if got := withoutUser(where); got != want {
			t.Errorf("%s is called %s", where, got)
		}
	}
}

// A server that loses NATS is not ready as soon as it knows, and a call that waits there ends with the reason, also if the server has
// answered another request in the meantime.
func TestServerThatLosesItsStore(t *testing.T) {
	inFull(t)
	t.Parallel()
	node, stop, err := startNATS(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	serve := launchWith(t, t.TempDir(), []string{"P2PCHAT_STORE=nats://ann:s3cret@" + node}, "serve", "--listen", "127.0.0.1:0")
	at := serve.notes(t, `listening on (http://\S+)`)[1]
	stop()
	serve.notes(t, "the connection to NATS broke")
	ready := launch(t, "ready", "--server", at)
	ready.finishes(t, exitServer)
	if text := ready.err.String(); !strings.Contains(text, "cannot reach its store") {
		t.Errorf("it says %s", text)
	}
	call := launch(t, "call", "417-falcon-zebra", "--server", at, "--wait", "4s")
	call.finishes(t, exitServer)
	if text := call.err.String(); !strings.Contains(text, "error: "+at+": The server cannot reach its store of rooms") {
		t.Errorf("it says %s", text)
	}
}
