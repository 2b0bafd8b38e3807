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

// settings are what OpenTelemetry's variables say, as far as they are about spans.
type settings struct {
	url      string // empty: no traces
	headers  http.Header
	tls      *tls.Config // nil: as usual
	gzip     bool
	timeout  time.Duration // of one request
	patience time.Duration // with one batch
	delay    time.Duration // between two batches
	queue    int           // spans that may wait
	batch    int           // spans at once
	sampler  sampler
	resource []slog.Attr // who says all of this
}

// read takes the variables of OpenTelemetry's "SDK configuration" and "OTLP exporter": one
// for traces goes before one for everything.
func read(getenv func(string) string, version string) (s settings, err error) {
	otlp := func(name string) (value, variable string) {
		for _, variable = range []string{"OTEL_EXPORTER_OTLP_TRACES_" + name, "OTEL_EXPORTER_OTLP_" + name} {
			if value = strings.TrimSpace(getenv(variable)); value != "" {
				return value, variable
			}
		}
		return "", variable
	}
	exporter := getenv("OTEL_TRACES_EXPORTER")
	endpoint, variable := otlp("ENDPOINT")
	switch {
	case strings.EqualFold(getenv("OTEL_SDK_DISABLED"), "true"), exporter == "none", exporter == "" && endpoint == "":
		return s, nil
	case exporter != "" && exporter != "otlp":
		return s, fmt.Errorf("OTEL_TRACES_EXPORTER: %q is none that this program has: otlp, none", exporter)
	}
	if protocol, variable := otlp("PROTOCOL"); protocol != "" && protocol != "http/protobuf" {
		return s, fmt.Errorf("%s: this program speaks http/protobuf, and not %q", variable, protocol)
	}
	u, err := url.Parse(cmp.Or(endpoint, "http://localhost:4318"))
	if err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" {
		return s, fmt.Errorf("%s: %q is not the address of a collector: http://localhost:4318", variable, endpoint)
	}
	if variable == "OTEL_EXPORTER_OTLP_ENDPOINT" { // the one for all
		u = u.JoinPath("v1", "traces")
	}
	out := settings{url: u.String(), resource: resource(getenv, version)}
	compression, variable := otlp("COMPRESSION")
	if out.gzip = compression == "gzip"; !out.gzip && compression != "" && compression != "none" {
		return s, fmt.Errorf("%s: it is gzip or none, not %q", variable, compression)
	}
	headers, variable := otlp("HEADERS")
	if out.headers, err = pairs(headers); err != nil {
		return s, fmt.Errorf("%s: %w", variable, err)
	}
	if out.tls, err = trust(otlp); err != nil {
		return s, err
	}
	if out.sampler, err = readSampler(getenv("OTEL_TRACES_SAMPLER"), getenv("OTEL_TRACES_SAMPLER_ARG")); err != nil {
		return s, err
	}
	number := func(value, variable string, otherwise int) int {
		n, notNumber := strconv.Atoi(cmp.Or(value, strconv.Itoa(otherwise)))
		if notNumber != nil || n < 1 || n > 1e9 {
			err = fmt.Errorf("%s: %q is not a number above 0", variable, value)
		}
		return n
	}
	processor := func(name string, otherwise int) int {
		variable := "OTEL_BSP_" + name
		return number(getenv(variable), variable, otherwise)
	}
	timeout, variable := otlp("TIMEOUT")
	out.timeout = time.Duration(number(timeout, variable, 10_000)) * time.Millisecond
	out.patience = time.Duration(processor("EXPORT_TIMEOUT", 30_000)) * time.Millisecond
	out.delay = time.Duration(processor("SCHEDULE_DELAY", 5_000)) * time.Millisecond
	out.queue = processor("MAX_QUEUE_SIZE", 2048)
	out.batch = processor("MAX_EXPORT_BATCH_SIZE", 512)
	return out, err
}

// pairs reads a=b,c=d, with what is special in it as in a URL.
func pairs(text string) (http.Header, error) {
	h := http.Header{}
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		name, value, ok := strings.Cut(part, "=")
		value, err := url.PathUnescape(strings.TrimSpace(value))
		if !ok || err != nil {
			return nil, errors.New("it looks like name=value,name=value") // the value may be a secret
		}
		h.Set(strings.TrimSpace(name), value)
	}
	return h, nil
}

// trust is whom the collector is, and how it knows this server, if not as usual.
func trust(otlp func(string) (value, variable string)) (*tls.Config, error) {
	ca, variable := otlp("CERTIFICATE")
	cert, certVariable := otlp("CLIENT_CERTIFICATE")
	key, _ := otlp("CLIENT_KEY")
	if ca == "" && cert == "" {
		return nil, nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if ca != "" {
		pem, err := os.ReadFile(ca) //nolint:gosec // whoever runs the server named it
		if err != nil {
			return nil, fmt.Errorf("%s: %w", variable, err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s: %s has no certificate (PEM)", variable, ca)
		}
	}
	if cert != "" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", certVariable, err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

func readSampler(name, argument string) (sampler, error) {
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

// resource is who says all of this.
func resource(getenv func(string) string, version string) []slog.Attr {
	name := "p2pchat"
	list := []slog.Attr{slog.String("service.version", version), slog.String("telemetry.sdk.language", "go"), slog.String("telemetry.sdk.name", "p2pchat")}
	for part := range strings.SplitSeq(getenv("OTEL_RESOURCE_ATTRIBUTES"), ",") {
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
	return append(list, slog.String("service.name", cmp.Or(getenv("OTEL_SERVICE_NAME"), name)))
}
