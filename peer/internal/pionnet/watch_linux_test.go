package pionnet

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// The kernel tells of links, addresses and routes that come and go.
func TestWatchRoutes(t *testing.T) {
	t.Parallel()
	inOwnNetwork(t, func() error {
		ctx, end := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		defer wg.Wait()
		defer end()
		changed := WatchRoutes(ctx, time.Hour, wg.Go)
		for _, args := range []string{
			"link add near type veth peer name far", "link set near up", "link set far up", "addr add 10.0.0.2/24 dev near",
			"route add default via 10.0.0.1 dev near", "route del default", "addr del 10.0.0.2/24 dev near", "link del near",
		} {
			select {
			case <-changed: // what is left of the change before
			default:
			}
			if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil { //nolint:gosec,noctx // the test's own words
				return fmt.Errorf("ip %s: %w: %s", args, err, out)
			}
			select {
			case <-changed:
			case <-time.After(10 * time.Second):
				t.Errorf("nothing is told after ip %s", args)
			}
		}
		return nil
	})
}
