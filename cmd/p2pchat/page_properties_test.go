package main

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
)

// Every parser of the page that reads a stranger's bytes, in the browser: fast-check makes the bytes. P2PCHATTEST_PROPERTIES is how
// many for each property ('task check:page', 'task fuzz:page'), P2PCHATTEST_SEED the seed of a run to repeat.
func TestPageProperties(t *testing.T) {
	runs := os.Getenv("P2PCHATTEST_PROPERTIES")
	if runs == "" {
		t.Skip("NOT RUN here: 'task check:page' fetches fast-check for it")
	}
	p := scripted(t, "properties")
	seed := cmp.Or(os.Getenv("P2PCHATTEST_SEED"), strconv.Itoa(rand.IntN(1<<31))) //nolint:gosec // it is logged
	t.Logf("P2PCHATTEST_SEED=%s", seed)
	for _, name := range eval[[]string](p, "properties.names") {
		t.Run(name, func(t *testing.T) {
			if fails := eval[string](p.in(t), fmt.Sprintf("properties.holds(%s, %s, %s)", js(name), runs, seed)); fails != "" {
				t.Error(fails)
			}
		})
	}
}
