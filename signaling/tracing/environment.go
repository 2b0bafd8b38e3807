package tracing

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

// settings are the values of OpenTelemetry's variables that are about spans.
type settings struct {
	url      string // empty: no traces
	headers  http.Header
	tls      *tls.Config // nil: Go's defaults
	gzip     bool
	timeout  time.Duration // of one request
	patience time.Duration // for one batch, retries included
	delay    time.Duration // between two batches
	queue    int           // spans that may wait
	batch    int           // spans in a batch
	sampler  sampler
	resource []slog.Attr // describes this program
}

// An environment returns the value of a variable, "" if it is not set.
type environment func(variable string) string

// settings reads the variables of OpenTelemetry's specifications "SDK configuration" and "OTLP
// exporter". A variable for traces takes precedence over the one for all signals.
func (e environment) settings(version string) (settings, error) {
	s := settings{resource: e.resource(version)}
	wanted, err := e.tracesWanted()
	if err != nil || !wanted {
		return settings{}, err
	}
	for _, read := range []func(*settings) error{e.readEndpoint, e.readRequest, e.readCertificate, e.readSampler, e.readLimits} {
		if err := read(&s); err != nil {
			return settings{}, err
		}
	}
	return s, nil
}

// otlp returns the value of an exporter's variable, and the variable's whole name.
func (e environment) otlp(name string) (value, variable string) {
	for _, variable = range []string{"OTEL_EXPORTER_OTLP_TRACES_" + name, "OTEL_EXPORTER_OTLP_" + name} {
		if value = strings.TrimSpace(e(variable)); value != "" {
			return value, variable
		}
	}
	return "", variable
}

func (e environment) tracesWanted() (bool, error) {
	exporter := e("OTEL_TRACES_EXPORTER")
	endpoint, _ := e.otlp("ENDPOINT")
	switch {
	case strings.EqualFold(e("OTEL_SDK_DISABLED"), "true"), exporter == "none", exporter == "" && endpoint == "":
		return false, nil
	case exporter != "" && exporter != "otlp":
		return false, fmt.Errorf("OTEL_TRACES_EXPORTER: %q is none that this program has: otlp, none", exporter)
	}
	return true, nil
}

func (e environment) readEndpoint(s *settings) error {
	if protocol, variable := e.otlp("PROTOCOL"); protocol != "" && protocol != "http/protobuf" {
		return fmt.Errorf("%s: this program speaks http/protobuf, and not %q", variable, protocol)
	}
	endpoint, variable := e.otlp("ENDPOINT")
	u, err := url.Parse(cmp.Or(endpoint, "http://localhost:4318"))
	if err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" {
		return fmt.Errorf("%s: %q is not the address of a collector: http://localhost:4318", variable, endpoint)
	}
	if variable == "OTEL_EXPORTER_OTLP_ENDPOINT" { // the base address for all signals
		u = u.JoinPath("v1", "traces")
	}
	s.url = u.String()
	return nil
}

func (e environment) readRequest(s *settings) (err error) {
	compression, variable := e.otlp("COMPRESSION")
	if s.gzip = compression == "gzip"; !s.gzip && compression != "" && compression != "none" {
		return fmt.Errorf("%s: it is gzip or none, not %q", variable, compression)
	}
	headers, variable := e.otlp("HEADERS")
	if s.headers, err = parseHeaders(headers); err != nil {
		return fmt.Errorf("%s: %w", variable, err)
	}
	return nil
}

// parseHeaders parses name=value,name=value, in which special characters are escaped as in a URL.
func parseHeaders(text string) (http.Header, error) {
	h := http.Header{}
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		name, value, ok := strings.Cut(part, "=")
		value, err := url.PathUnescape(strings.TrimSpace(value))
		if !ok || err != nil {
			return nil, errors.New("it looks like name=value,name=value") // without the value, which may be a secret
		}
		h.Set(strings.TrimSpace(name), value)
	}
	return h, nil
}

func (e environment) readCertificate(s *settings) error {
	file, variable := e.otlp("CERTIFICATE")
	if file == "" {
		return nil
	}
	pem, err := os.ReadFile(file) //nolint:gosec // the operator has named it
	if err != nil {
		return fmt.Errorf("%s: %w", variable, err)
	}
	s.tls = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: x509.NewCertPool()}
	if !s.tls.RootCAs.AppendCertsFromPEM(pem) {
		return fmt.Errorf("%s: %s has no certificate (PEM)", variable, file)
	}
	return nil
}

func (e environment) readSampler(s *settings) (err error) {
	s.sampler, err = parseSampler(e("OTEL_TRACES_SAMPLER"), e("OTEL_TRACES_SAMPLER_ARG"))
	return err
}

func parseSampler(name, argument string) (sampler, error) {
	kind, follows := strings.CutPrefix(cmp.Or(name, "parentbased_always_on"), "parentbased_")
	switch kind {
	case "always_on":
		return sampler{follows, 1}, nil
	case "always_off":
		return sampler{follows, 0}, nil
	case "traceidratio":
		ratio, err := strconv.ParseFloat(cmp.Or(argument, "1"), 64)
		if err != nil || ratio < 0 || ratio > 1 {
			return sampler{}, fmt.Errorf("OTEL_TRACES_SAMPLER_ARG: %q is not between 0 and 1", argument)
		}
		return sampler{follows, ratio}, nil
	}
	return sampler{}, fmt.Errorf("OTEL_TRACES_SAMPLER: %q is none that this program has: always_on, always_off, traceidratio, and each with parentbased_", name)
}

func (e environment) readLimits(s *settings) (err error) {
	number := func(value, variable string, byDefault int) int {
		n, notNumber := strconv.Atoi(cmp.Or(value, strconv.Itoa(byDefault)))
		if notNumber != nil || n < 1 || n > 1e9 {
			err = fmt.Errorf("%s: %q is not a number above 0", variable, value)
		}
		return n
	}
	processor := func(name string, byDefault int) int {
		variable := "OTEL_BSP_" + name
		return number(e(variable), variable, byDefault)
	}
	timeout, variable := e.otlp("TIMEOUT")
	s.timeout = time.Duration(number(timeout, variable, 10_000)) * time.Millisecond
	s.patience = time.Duration(processor("EXPORT_TIMEOUT", 30_000)) * time.Millisecond
	s.delay = time.Duration(processor("SCHEDULE_DELAY", 5_000)) * time.Millisecond
	s.queue = processor("MAX_QUEUE_SIZE", 2048)
	s.batch = processor("MAX_EXPORT_BATCH_SIZE", 512)
	return err
}

// resource returns the attributes of this program.
func (e environment) resource(version string) []slog.Attr {
	name := "p2pchat"
	list := []slog.Attr{slog.String("service.version", version), slog.String("telemetry.sdk.language", "go"), slog.String("telemetry.sdk.name", "p2pchat")}
	for part := range strings.SplitSeq(e("OTEL_RESOURCE_ATTRIBUTES"), ",") {
		key, value, ok := strings.Cut(part, "=")
		key = strings.TrimSpace(key)
		value, err := url.PathUnescape(strings.TrimSpace(value))
		switch {
		case !ok || err != nil || key == "":
		case key == "service.name":
			name = value
		default:
			list = append(list, slog.String(key, value))
		}
	}
	return append(list, slog.String("service.name", cmp.Or(e("OTEL_SERVICE_NAME"), name)))
}
