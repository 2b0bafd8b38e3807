package reliable

import (
	"flag"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	_ = flag.Set("rapid.checks", "20") // instead of 100, of fewer steps: a fault shows after some calls and kills
	_ = flag.Set("rapid.steps", "300")
	goleak.VerifyTestMain(m)
}
