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

// readyPatience bounds how long ready waits for the server's answer.
const readyPatience = 5 * time.Second

// readyCommand checks a server's health in containers, which have no other program for it.
func readyCommand() *cobra.Command {
	var server string
	c := &cobra.Command{
		Use:   "ready",
		Short: "Exit 0 if a server accepts calls, for health checks",
		Args:  cobra.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return ready(c.Context(), server) },
	}
	c.Flags().StringVar(&server, "server", defaultServer, "`URL` of the signaling server")
	return c
}

func ready(ctx context.Context, server string) error {
	server, err := serverURL(server)
	if err != nil {
		return err
	}
	u, err := url.Parse(strings.TrimRight(server, "/") + "/readyz")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, readyPatience, fmt.Errorf("no answer in %d s", readyPatience/time.Second))
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return err
	}
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	if ip := net.ParseIP(u.Hostname()); u.Hostname() == "localhost" || ip != nil && ip.IsLoopback() {
		// On this machine the certificate names another host, and no secret is sent.
		transport.TLSClientConfig = &tls.Config{InsecureSkipVerify: true} //nolint:gosec // see above
	}
	res, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return withHint(server, fmt.Errorf("%s: %w", server, signaling.Unanswered(ctx, err)))
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode == http.StatusOK {
		return nil
	}
	body, _ := io.ReadAll(io.LimitReader(res.Body, 1<<16)) // a longer body is not a problem document
	if err := signaling.CheckScheme(res, body); err != nil {
		return withHint(server, fmt.Errorf("%s: %w", server, err))
	}
	var p signaling.Problem
	if err := json.Unmarshal(body, &p); err != nil || p.Detail == "" {
		return withHint(server, fmt.Errorf("%s: %w", server, signaling.Unexplained(res)))
	}
	return withHint(server, p)
}
