package main

import (
	"errors"
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
