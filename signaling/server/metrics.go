package server

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
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

// metrics are the metrics of one server, in a registry of its own.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	in, out  prometheus.Counter            // bytes of bodies
	calls    map[string]prometheus.Counter // by event
	limits   *prometheus.CounterVec
	store    map[string]prometheus.Observer // by operation
	failures *prometheus.CounterVec

	answered atomic.Pointer[map[requestLabels]requestMetrics] // so far; replaced under adding
	adding   sync.Mutex
}

// requestLabels are what the labels of a request's metrics follow from. There are not many: clients choose none.
type requestLabels struct {
	method, route string
	status        int
	waits         bool
}

// requestMetrics count the requests with the same labels.
type requestMetrics struct {
	count   prometheus.Counter
	seconds prometheus.Observer
}

func newMetrics(s *Server, measures []Measure) *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	// From an answer out of memory to a write while NATS looks for a leader.
	buckets := []float64{.0001, .0003, .001, .003, .01, .03, .1, .3, 1, 3, 10, 30, 60}
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: counter("p2pchat_requests_total", "Requests by route and status.", "route", "code"),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "p2pchat_request_seconds", Help: "Duration of requests, by route and by whether they may wait.", Buckets: buckets,
		}, []string{"route", "waits"}),
		calls:    map[string]prometheus.Counter{},
		store:    map[string]prometheus.Observer{},
		limits:   counter("p2pchat_limit_hits_total", "Requests and connections that were refused, by limit.", "limit"),
		failures: counter("p2pchat_store_failures_total", "Operations in which the store failed; refusals are not failures.", "operation"),
	}
	bytes := counter("p2pchat_bytes_total", "Bytes of request and response bodies.", "direction")
	calls := counter("p2pchat_calls_total", "Rooms opened, offers answered, answers turned down by a new offer, rooms closed.", "event")
	store := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "p2pchat_store_seconds", Help: "Duration of operations of the store, without reads that wait.", Buckets: buckets,
	}, []string{"operation"})
	m.registry.MustRegister(m.requests, m.seconds, bytes, calls, m.limits, store, m.failures,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	for _, event := range []string{callOpened, callAnswered, callTurnedDown, callClosed} {
		m.calls[event] = calls.WithLabelValues(event)
	}
	for limit := range limits {
		m.limits.WithLabelValues(limit)
	}
	for _, operation := range slices.Concat(storeOperations, mailOperations) {
		m.failures.WithLabelValues(operation)
		m.store[operation] = store.WithLabelValues(operation)
	}
	m.in, m.out = bytes.WithLabelValues("in"), bytes.WithLabelValues("out")
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
		m.registry.MustRegister(one.collector())
	}
	return m
}

func (m Measure) collector() prometheus.Collector {
	if m.Counts {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: m.Name, Help: m.Help, ConstLabels: m.Labels}, m.Value)
	}
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: m.Name, Help: m.Help, ConstLabels: m.Labels}, m.Value)
}

// request counts an answered request.
func (m *metrics) request(info *requestInfo, took time.Duration) {
	labels := requestLabels{info.method, info.route, info.status, info.waits}
	of, known := (*m.answered.Load())[labels]
	if !known {
		of = m.add(labels, info.name())
	}
	of.count.Inc()
	of.seconds.Observe(took.Seconds())
	m.in.Add(float64(max(info.in, 0)))
	m.out.Add(float64(info.out))
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
	all[l] = requestMetrics{m.requests.WithLabelValues(name, strconv.Itoa(l.status)), m.seconds.WithLabelValues(name, waits)}
	m.answered.Store(&all)
	return all[l]
}

// Metrics returns the handler of /metrics, in Prometheus's text format.
func (s *Server) Metrics() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.metrics.registry, promhttp.HandlerOpts{Registry: s.metrics.registry}))
	return mux
}
