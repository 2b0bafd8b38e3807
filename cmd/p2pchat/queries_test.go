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

// metricsOfServer returns what a server with a relay says at /metrics, once a room is open.
func metricsOfServer(t *testing.T) string {
	t.Helper()
	server := launch(t, "serve", "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0", "--mail", "--relay", "--relay-listen", "127.0.0.1:0")
	c, err := signaling.NewClient(server.notes(t, `listening on (http://\S+)`)[1], signaling.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseIdle()
	if _, err := c.Offer(t.Context(), signaling.NewTicket("room", signaling.Caller), signaling.Description(`{"type":"offer","sdp":""}`)); err != nil {
		t.Fatal(err)
	}
	res, err := http.Get(server.notes(t, `metrics at (http://\S+)`)[1]) //nolint:noctx // of this test's own server
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestOperatorsReadOfEveryRefusal holds docs/operating.md to what a server counts: each limit
// and each reason is in a table and in an alert, and no other is.
func TestOperatorsReadOfEveryRefusal(t *testing.T) {
	t.Parallel()
	text := metricsOfServer(t)
	b, err := os.ReadFile("../../docs/operating.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(b), "## Under attack\n")
	section, _, _ = strings.Cut(section, "\n## ")
	documented := map[string]bool{}
	for line := range strings.Lines(section) {
		if first, _, ok := strings.Cut(strings.TrimPrefix(line, "| "), " |"); ok && strings.HasPrefix(line, "| `") {
			for _, name := range regexp.MustCompile("`([a-z_]+)`").FindAllStringSubmatch(first, -1) {
				documented[name[1]] = true
			}
		}
	}
	delete(documented, "limit") // the heads of the tables
	delete(documented, "reason")
	alerts, err := os.ReadFile("../../docs/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	counted := map[string]bool{}
	for _, metric := range []string{"p2pchat_limit_hits_total", "p2pchat_relay_refused_total"} {
		if !strings.Contains(section, metric) {
			t.Errorf("the section has no %s", metric)
		}
		for _, found := range regexp.MustCompile(`(?m)^`+metric+`\{(?:limit|reason)="(\w+)"\}`).FindAllStringSubmatch(text, -1) {
			counted[found[1]] = true
			if metric == "p2pchat_limit_hits_total" && !regexp.MustCompile(metric+`\{limit=~?"[^"]*\b`+found[1]+`\b`).Match(alerts) {
				t.Errorf("no alert tells of the limit %s", found[1])
			}
		}
	}
	if len(counted) < 20 {
		t.Fatalf("a server counts no more than %v", counted)
	}
	for name := range counted {
		if !documented[name] {
			t.Errorf("%s is counted, but no table has it", name)
		}
	}
	for name := range documented {
		if !counted[name] {
			t.Errorf("a table has %s, which no server counts", name)
		}
	}
	for _, name := range regexp.MustCompile("`(P2pchat\\w+)`|\\*(Under attack: [^*]+)\\*").FindAllStringSubmatch(section, -1) {
		if !strings.Contains(string(alerts), "alert: "+name[1]+"\n") && name[1] != "" {
			t.Errorf("there is no alert %s", name[1])
		}
		if dashboard, _ := os.ReadFile("../../docs/dashboard.json"); name[2] != "" && !strings.Contains(string(dashboard), `"title": "`+name[2]+`"`) {
			t.Errorf("there is no panel %s", name[2])
		}
	}
	for _, metric := range regexp.MustCompile("`(p2pchat_\\w+)`").FindAllStringSubmatch(string(b), -1) {
		if !strings.Contains(text, "# TYPE "+metric[1]+" ") {
			t.Errorf("docs/operating.md has %s, which no server counts", metric[1])
		}
	}
}

// TestQueries holds what docs/dashboard.json and docs/alerts.yaml ask for against what a
// server says: the metrics, their labels, and the values of those.
func TestQueries(t *testing.T) {
	t.Parallel()
	text := metricsOfServer(t)
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
			if !scraped(text, s[1], labels(q, s[2])) {
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
