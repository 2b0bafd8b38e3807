package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"p2pchat/signaling"
)

// readyCommand is for containers and scripts, which have no other program to ask with.
func readyCommand() *cobra.Command {
	var server string
	c := &cobra.Command{
		Use:   "ready",
		Short: "Exit 0 if a server takes new work, for health checks",
		Args:  cobra.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return ready(c.Context(), server) },
	}
	c.Flags().StringVar(&server, "server", defaultServer, "signaling server")
	return c
}

func ready(ctx context.Context, server string) error {
	u, err := url.Parse(strings.TrimRight(server, "/") + "/readyz")
	if err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" {
		return &usageError{err: fmt.Errorf("--server: %q is not the address of a server", server)}
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return err
	}
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	if ip := net.ParseIP(u.Hostname()); u.Hostname() == "localhost" || ip != nil && ip.IsLoopback() {
		// On this machine its certificate is for another name, and nothing secret is sent.
		transport.TLSClientConfig = &tls.Config{InsecureSkipVerify: true} //nolint:gosec // see above
	}
	res, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return fmt.Errorf("%w: %w", signaling.ErrUnreachable, innermost(err))
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode == http.StatusOK {
		return nil
	}
	var p signaling.Problem
	if err := json.NewDecoder(io.LimitReader(res.Body, 1<<16)).Decode(&p); err != nil || p.Detail == "" {
		return fmt.Errorf("%w: it answered %q", signaling.ErrForeign, res.Status)
	}
	return p
}
