package main

import (
	"testing"

	"p2pchat/signaling/server"
)

func TestClientLimits(t *testing.T) {
	for text, want := range map[string]int{"burst=200.0": 200, "burst=1e3": 1000, "burst=7": 7} {
		var c server.Config
		o := clientOptions{rate: text, connections: "client=1000"}
		if err := o.configure(&c); err != nil || c.Rate.Burst != want {
			t.Errorf("--rate %s: burst %d, error %v", text, c.Rate.Burst, err)
		}
	}
	for _, text := range []string{"client=+5", "client=-5", "client=5.0", "all=2147483648"} {
		o := clientOptions{rate: "burst=1", connections: text}
		if o.configure(&server.Config{}) == nil {
			t.Errorf("--connections %s is accepted", text)
		}
	}
}
