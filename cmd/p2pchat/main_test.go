package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
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

// testGoroutines is a folder in which each program under test writes how many goroutines it has, in a file with the name of its PID.
const testGoroutines = "P2PCHATTEST_GOROUTINES"

func countGoroutines(path string) {
	for range time.Tick(time.Second) {
		_ = os.WriteFile(path, []byte(strconv.Itoa(runtime.NumGoroutine())), 0o600) //nolint:gosec // the path is the test's, which sees that the file is missing
	}
}

// raceOptions is the variable of the race detector's options.
const raceOptions = "GORACE"

func TestMain(m *testing.M) {
	_ = os.Setenv("PEBBLE_VA_NOSLEEP", "1") // the authority of tls-auto.txtar must not pretend to be slow
	testscript.Main(suite{m}, map[string]func(){"p2pchat": func() {
		if address := os.Getenv(testAddress); address != "" {
			defaultServe, defaultServer = address, "http://"+address
		}
		if limit, err := time.ParseDuration(os.Getenv(testStillLost)); err == nil {
			stillLost = limit
		}
		if dir := os.Getenv(testGoroutines); dir != "" {
			go countGoroutines(filepath.Join(dir, strconv.Itoa(os.Getpid())))
		}
		main()
	}})
}

// A suite is all tests of this package, which share a browser. It also fails if the race detector reported a race in a program that
// a test started, even if that test did not look at the program's exit code or stderr.
type suite struct{ *testing.M }

func (s suite) Run() int {
	dir, err := os.MkdirTemp("", "races")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()   // of this test alone
	_ = os.Setenv("XDG_CONFIG_HOME", dir)      // no test reads the settings of the person who runs it
	_ = os.Setenv("P2PCHAT_NO_OUTBOX", "true") // scripts have outboxes; other tests name theirs
	_ = os.Setenv("P2PCHAT_LAN", "never")      // what a test does stays on this machine; the tests in namespaces override it
	_ = os.Setenv("XDG_STATE_HOME", filepath.Join(dir, "state"))
	// By default each program sleeps for a second before it exits, a thousand times in all.
	_ = os.Setenv(raceOptions, os.Getenv(raceOptions)+" atexit_sleep_ms=0 log_path="+filepath.Join(dir, "program"))
	defer func() { stopBrowser() }() // a test sets it
	code := s.M.Run()
	reports, _ := filepath.Glob(filepath.Join(dir, "program.*")) // the pattern is correct
	for _, path := range reports {
		report, _ := os.ReadFile(path) //nolint:gosec // the tests' own; without its text, the file is enough to fail
		fmt.Fprintf(os.Stderr, "a program of a test has a data race:\n%s\n", report)
		code = 1
	}
	return code
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
			e.Setenv("P2PCHAT_LAN", "never")
			e.Setenv(raceOptions, os.Getenv(raceOptions))
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
