package main

import (
	"fmt"
	"testing"
)

// A neighbour with many servers does not make a program forget those that it has tried last.
func TestServersAreRemembered(t *testing.T) {
	t.Parallel()
	var l serverLog
	for port := range 3 * maxLANTried {
		l.note("http://192.0.2.1:1000")
		l.note(fmt.Sprintf("http://192.0.2.2:%d", port+1))
	}
	if len(l.at) != maxLANTried || l.last("http://192.0.2.1:1000").IsZero() {
		t.Errorf("%d servers are remembered, the first one since %v", len(l.at), l.last("http://192.0.2.1:1000"))
	}
}
