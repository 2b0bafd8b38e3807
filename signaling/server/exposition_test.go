package server

import (
	"strings"
	"testing"
	"time"
)

func TestExposition(t *testing.T) {
	f := &family{name: "p2pchat_wait_seconds", help: "Waits.", kind: distributing}
	h := f.histogram(map[string]string{"waits": "yes", "route": "GET /"})
	for _, took := range []time.Duration{0, 100 * time.Microsecond, 100*time.Microsecond + 1, 2 * time.Second, time.Minute, time.Hour} {
		h.observe(took)
	}
	if again := f.histogram(map[string]string{"route": "GET /", "waits": "yes"}); again != h {
		t.Error("the same labels have two histograms")
	}
	f.histogram(map[string]string{"route": "DELETE /", "waits": "no"})
	var b strings.Builder
	f.writeTo(&b)
	const with, without = `route="GET /",waits="yes"`, `route="DELETE /",waits="no"`
	want := "# HELP p2pchat_wait_seconds Waits.\n# TYPE p2pchat_wait_seconds histogram\n"
	for _, bound := range strings.Fields("0.0001 0.0003 0.001 0.003 0.01 0.03 0.1 0.3 1 3 10 30 60 +Inf") {
		want += "p2pchat_wait_seconds_bucket{" + without + `,le="` + bound + "\"} 0\n"
	}
	want += "p2pchat_wait_seconds_sum{" + without + "} 0\np2pchat_wait_seconds_count{" + without + "} 0\n"
	for _, bucket := range strings.Fields("0.0001=2 0.0003=3 0.001=3 0.003=3 0.01=3 0.03=3 0.1=3 0.3=3 1=3 3=4 10=4 30=4 60=5 +Inf=6") {
		bound, n, _ := strings.Cut(bucket, "=")
		want += "p2pchat_wait_seconds_bucket{" + with + `,le="` + bound + "\"} " + n + "\n"
	}
	want += "p2pchat_wait_seconds_sum{" + with + "} 3662.000200001\np2pchat_wait_seconds_count{" + with + "} 6\n"
	if b.String() != want {
		t.Errorf("it is\n%s\nand should be\n%s", &b, want)
	}

	b.Reset()
	(&family{name: "p2pchat_nothing"}).writeTo(&b)
	large := &family{name: "p2pchat_bytes", kind: counting}
	large.counter(nil).add(12345678)
	large.writeTo(&b)
	if want := "# HELP p2pchat_bytes \n# TYPE p2pchat_bytes counter\np2pchat_bytes 12345678\n"; b.String() != want {
		t.Errorf("it is\n%s\nand should be\n%s", &b, want)
	}
}
