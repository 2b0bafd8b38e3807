package relay

import (
	"net"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
)

// TestCoturnsClient runs coturn's client, which sends requests that no browser sends: for even ports,
// with and without the next port, and for both families.
func TestCoturnsClient(t *testing.T) {
	program, err := exec.LookPath("turnutils_uclient")
	if err != nil {
		t.Skip("turnutils_uclient is not installed (Debian's coturn)")
	}
	var running sync.WaitGroup // all at once, because the program sleeps most of the time
	for name, flags := range map[string][]string{
		"pairs of ports over UDP": {},
		"even ports over UDP":     {"-c"},
		"pairs of ports over TCP": {"-t"},
		"even ports over TCP":     {"-t", "-c"},
		"Send indications":        {"-s"},
		"IPv4, explicitly":        {"-X"},
	} {
		r := serving(t, Config{})
		s := r.Credentials("a", nil)[1]
		host, port, err := net.SplitHostPort(strings.TrimSuffix(strings.TrimPrefix(s.URLs[0], "turn:"), "?transport=udp"))
		if err != nil {
			t.Fatal(err)
		}
		const messages = "5"
		args := append(slices.Clone(flags), "-y", "-v", "-n", messages, "-m", "2", "-u", s.Username, "-w", s.Credential, "-p", port, host)
		running.Go(func() {
			out, err := exec.CommandContext(t.Context(), program, args...).CombinedOutput() //nolint:gosec // a test's
			if err != nil || !strings.Contains(string(out), "Total lost packets 0 ") {
				t.Errorf("%s: %v: %s", name, err, out)
			}
		})
	}
	running.Wait()
}
