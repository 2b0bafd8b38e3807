package main

import (
	"net"
	"os"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// Scripts run the program as a process of its own. So that they can run side by side,
// each has its own default address, in this variable.
const testAddress = "P2PCHATTEST_ADDRESS"

// testStillLost is how long a program under test waits for a lost side before it tells what that can
// mean, so that no test has to wait for as long as people do.
const testStillLost = "P2PCHATTEST_STILL_LOST"

func TestMain(m *testing.M) {
	_ = os.Setenv("PEBBLE_VA_NOSLEEP", "1") // the authority of tls-auto.txtar must not pretend to be slow
	testscript.Main(m, map[string]func(){"p2pchat": func() {
		if address := os.Getenv(testAddress); address != "" {
			defaultServe, defaultServer = address, "http://"+address
		}
		if limit, err := time.ParseDuration(os.Getenv(testStillLost)); err == nil {
			stillLost = limit
		}
		main()
	}})
}

func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			address, err := freeAddress()
			e.Setenv(testAddress, address)
			e.Setenv("ADDRESS", address)
			e.Setenv(testStillLost, "1s")
			e.Values[stageKey{}] = newStage(e)
			return err
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"run": onStage((*stage).run), "say": onStage((*stage).say), "eof": onStage((*stage).eof),
			"sees": onStage((*stage).sees), "signal": onStage((*stage).signal), "ends": onStage((*stage).ends), "certify": onStage((*stage).certify), "nats": runNATS, "balance": runBalancer,
			"acme": runACME, "presents": runPresents,
		},
	})
}

// freeAddress is one on loopback that nobody listens on. The kernel gives out others
// for a while before it gives out this one again.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
