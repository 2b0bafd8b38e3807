package server

import (
	"bytes"
	"fmt"
	"io"
	"iter"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	victoria "github.com/VictoriaMetrics/metrics"
)

// A Measure is a metric of the store or the relay. Labels have a few values that are known
// beforehand: never a room's name, a token or an address.
type Measure struct {
	Name   string // p2pchat_rooms; one that counts ends in _total
	Help   string
	Labels map[string]string // they tell Measures of one name apart
	Counts bool              // it is a counter, which never decreases
	Value  func() float64
}

// Values of the label event of p2pchat_calls_total.
const (
	callOpened, callAnswered   = "opened", "answered"
	callTurnedDown, callClosed = "turned_down", "closed"
)

// metrics are the metrics of one server, each of which has a registry of its own.
type metrics struct {
	families []*family // in the order in which /metrics has them
	requests *family
	seconds  *family
	in, out  *victoria.Counter            // bytes of bodies
	calls    map[string]*victoria.Counter // by event
	limits   map[string]*victoria.Counter
	store    map[string]*victoria.PrometheusHistogram // by operation
	failures map[string]*victoria.Counter

	answered atomic.Pointer[map[requestLabels]requestMetrics] // so far; replaced under adding
	adding   sync.Mutex
}

// A family is all samples of one metric. The library writes no help, so the family has a set of its own, and writes both lines
// that go before the samples.
type family struct {
	name, help, kind string
	samples          *victoria.Set
}

// The kinds of a family.
const (
	counting     = "counter"
	measuring    = "gauge"
	distributing = "histogram"
)

// buckets of durations go from an answer out of memory to a write while NATS looks for a leader.
var buckets = []float64{.0001, .0003, .001, .003, .01, .03, .1, .3, 1, 3, 10, 30, 60}

// requestLabels are what the labels of a request's metrics follow from. There are not many: clients choose none.
type requestLabels struct {
	method, route string
	status        int
	waits         bool
}

// requestMetrics count the requests with the same labels.
type requestMetrics struct {
	count   *victoria.Counter
	seconds *victoria.PrometheusHistogram
}

func newMetrics(s *Server, measures []Measure) *metrics {
	m := &metrics{store: map[string]*victoria.PrometheusHistogram{}}
	m.requests = m.family("p2pchat_requests_total", "Requests by route and status.", counting)
	m.seconds = m.family("p2pchat_request_seconds", "Duration of requests, by route and by whether they may wait.", distributing)
	m.calls = m.family("p2pchat_calls_total", "Rooms opened, offers answered, answers turned down by a new offer, rooms closed.", counting).
		counters("event", slices.Values([]string{callOpened, callAnswered, callTurnedDown, callClosed}))
	m.limits = m.family("p2pchat_limit_hits_total", "Requests and connections that were refused, by limit.", counting).counters("limit", maps.Keys(limits))
	operations := slices.Concat(storeOperations, mailOperations)
	m.failures = m.family("p2pchat_store_failures_total", "Operations in which the store failed; refusals are not failures.", counting).
		counters("operation", slices.Values(operations))
	store := m.family("p2pchat_store_seconds", "Duration of operations of the store, without reads that wait.", distributing)
	for _, operation := range operations {
		m.store[operation] = store.histogram(map[string]string{"operation": operation})
	}
	moved := m.family("p2pchat_bytes_total", "Bytes of request and response bodies.", counting).counters("direction", slices.Values([]string{"in", "out"}))
	m.in, m.out = moved["in"], moved["out"]
	m.answered.Store(&map[requestLabels]requestMetrics{})
	measures = append(measures,
		Measure{Name: "p2pchat_parked_reads", Help: "Waiting reads.", Value: func() float64 { return float64(s.Waiting()) }},
		Measure{Name: "p2pchat_connections", Help: "Open connections.", Value: func() float64 { return float64(s.connections.open()) }},
		Measure{Name: "p2pchat_ready", Help: "1 if the server is ready: see /readyz.", Value: func() float64 {
			if s.ready() != nil {
				return 0
			}
			return 1
		}})
	for _, one := range measures {
		m.measure(one)
	}
	return m
}

// family returns a new family.
func (m *metrics) family(name, help, kind string) *family {
	f := &family{name, help, kind, victoria.NewSet()}
	m.families = append(m.families, f)
	return f
}

// measure adds a Measure, to the family of those with the same name.
func (m *metrics) measure(one Measure) {
	i := slices.IndexFunc(m.families, func(f *family) bool { return f.name == one.Name })
	if i < 0 {
		kind := measuring
		if one.Counts {
			kind = counting
		}
		i = len(m.families)
		m.family(one.Name, one.Help, kind)
	}
	f := m.families[i]
	f.samples.NewGauge(f.sample(one.Labels), one.Value)
}

// sample returns the name of the sample with those labels.
func (f *family) sample(labels map[string]string) string {
	if len(labels) == 0 {
		return f.name
	}
	var all []string
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		all = append(all, fmt.Sprintf("%s=%q", name, labels[name]))
	}
	return f.name + "{" + strings.Join(all, ",") + "}"
}

// counter returns the counter with those labels.
func (f *family) counter(labels map[string]string) *victoria.Counter {
	return f.samples.GetOrCreateCounter(f.sample(labels))
}

// counters returns a counter for each value of a label.
func (f *family) counters(label string, values iter.Seq[string]) map[string]*victoria.Counter {
	all := map[string]*victoria.Counter{}
	for value := range values {
		all[value] = f.counter(map[string]string{label: value})
	}
	return all
}

// histogram returns the histogram with those labels.
func (f *family) histogram(labels map[string]string) *victoria.PrometheusHistogram {
	return f.samples.GetOrCreatePrometheusHistogramExt(f.sample(labels), buckets)
}

// writeTo writes the family in Prometheus's text format, unless it has no samples yet.
func (f *family) writeTo(w io.Writer) {
	var samples bytes.Buffer
	if f.samples.WritePrometheus(&samples); samples.Len() > 0 {
		fmt.Fprintf(w, "# HELP %s %s\n# TYPE %[1]s %[3]s\n%s", f.name, f.help, f.kind, &samples)
	}
}

// request counts an answered request.
func (m *metrics) request(info *requestInfo, took time.Duration) {
	labels := requestLabels{info.method, info.route, info.status, info.waits}
	of, known := (*m.answered.Load())[labels]
	if !known {
		of = m.add(labels, info.name())
	}
	of.count.Inc()
	of.seconds.Update(took.Seconds())
	m.in.Add(int(max(info.in, 0)))
	m.out.Add(int(info.out))
}

// add returns the metrics of requests with the same labels, the first of which was answered.
func (m *metrics) add(l requestLabels, name string) requestMetrics {
	m.adding.Lock()
	defer m.adding.Unlock()
	waits := "no"
	if l.waits {
		waits = "yes"
	}
	all := maps.Clone(*m.answered.Load())
	all[l] = requestMetrics{
		m.requests.counter(map[string]string{"route": name, "code": strconv.Itoa(l.status)}),
		m.seconds.histogram(map[string]string{"route": name, "waits": waits}),
	}
	m.answered.Store(&all)
	return all[l]
}

// Metrics returns the handler of /metrics, in Prometheus's text format.
func (s *Server) Metrics() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		for _, f := range s.metrics.families {
			f.writeTo(w)
		}
		victoria.WriteProcessMetrics(w)
		victoria.WriteFDMetrics(w)
	})
	return mux
}
