package main

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"p2pchat/signaling"
)

var (
	selector = regexp.MustCompile(`\b((?:p2pchat|process|go)_\w+)(?:\{([^}]*)\})?`)
	matcher  = regexp.MustCompile(`(\w+)(=~|=)"([^"]*)"`)
	grouping = regexp.MustCompile(`\bby \(([^)]*)\)`)
)

// queries are those of the dashboard and of the alerts.
func queries(t *testing.T) (list []string) {
	t.Helper()
	b, err := os.ReadFile("../../docs/dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels []struct{ Targets []struct{ Expr string } }
	}
	if err := json.Unmarshal(b, &dashboard); err != nil {
		t.Fatal(err)
	}
	for _, p := range dashboard.Panels {
		for _, target := range p.Targets {
			list = append(list, target.Expr)
		}
	}
	if b, err = os.ReadFile("../../docs/alerts.yaml"); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if _, expr, ok := strings.Cut(line, "expr: "); ok {
			list = append(list, strings.TrimSpace(expr))
		}
	}
	return list
}

// TestQueries holds what docs/dashboard.json and docs/alerts.yaml ask for against what a
// server says: the metrics, their labels, and the values of those.
func TestQueries(t *testing.T) {
	t.Parallel()
	server := launch(t, "serve", "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0", "--relay", "--relay-listen", "127.0.0.1:0")
	says := func(what string) string {
		found, err := server.err.wait(regexp.MustCompile(what))
		if err != nil {
			t.Fatal(err)
		}
		return found[1]
	}
	c, err := signaling.NewClient(says(`listening on (http://\S+)`), signaling.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseIdle()
	if _, err := c.Offer(t.Context(), signaling.NewTicket("room", signaling.Caller), signaling.Description(`{"type":"offer","sdp":""}`)); err != nil {
		t.Fatal(err)
	}
	res, err := http.Get(says(`metrics at (http://\S+)`)) //nolint:noctx // of this test's own server
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if err != nil {
		t.Fatal(err)
	}
	list := queries(t)
	if len(list) < 20 {
		t.Fatalf("only %d queries were found", len(list))
	}
	for _, q := range list {
		selectors := selector.FindAllStringSubmatch(q, -1)
		if len(selectors) == 0 {
			t.Errorf("%s: asks for nothing", q)
		}
		for _, s := range selectors {
			if !scraped(string(text), s[1], labels(q, s[2])) {
				t.Errorf("%s: there is no such %s", q, s[1])
			}
		}
	}
}

// labels are those that a query wants of a metric, each with a pattern of its value.
func labels(query, matchers string) map[string]string {
	want := map[string]string{}
	for _, group := range grouping.FindAllStringSubmatch(query, -1) {
		for name := range strings.SplitSeq(group[1], ",") {
			want[strings.TrimSpace(name)] = ".*"
		}
	}
	for _, m := range matcher.FindAllStringSubmatch(matchers, -1) {
		want[m[1]] = m[3]
		if m[2] == "=" {
			want[m[1]] = regexp.QuoteMeta(m[3])
		}
	}
	delete(want, "job") // these two are Prometheus's
	delete(want, "instance")
	if want["code"] == "5.." {
		want["code"] = ".*" // nothing has failed here
	}
	return want
}

func scraped(text, name string, want map[string]string) bool {
	sample := regexp.MustCompile(`(?m)^` + name + `(?:\{(.*)\})? \S+$`)
	for _, found := range sample.FindAllStringSubmatch(text, -1) {
		has := map[string]string{}
		for _, m := range matcher.FindAllStringSubmatch(found[1], -1) {
			has[m[1]] = m[3]
		}
		fits := true
		for label, pattern := range want {
			value, ok := has[label]
			fits = fits && ok && regexp.MustCompile("^(?:"+pattern+")$").MatchString(value)
		}
		if fits {
			return true
		}
	}
	return false
}
