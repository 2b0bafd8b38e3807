package main

import (
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/rogpeppe/go-internal/testscript"
)

// runNATS is the script's command that runs a NATS server until the script ends. Its
// address is in $NATS, for the user ann with the password s3cret.
func runNATS(ts *testscript.TestScript, _ bool, _ []string) {
	node, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true, JetStream: true, StoreDir: ts.MkAbs("nats"),
		DisableJetStreamBanner: true, Username: "ann", Password: "s3cret",
	})
	ts.Check(err)
	node.Start()
	ts.Defer(func() {
		node.Shutdown()
		node.WaitForShutdown()
	})
	if !node.ReadyForConnections(30 * time.Second) {
		ts.Fatalf("NATS does not start")
	}
	ts.Setenv("NATS", node.Addr().String())
}
