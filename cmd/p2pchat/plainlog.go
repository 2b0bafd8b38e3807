package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"

	"p2pchat/chat/screen"
)

// A plainHandler writes log records as sentences, for a person.
type plainHandler struct {
	to    io.Writer
	level slog.Level
	attrs []slog.Attr
}

// Enabled implements slog.Handler.
func (h *plainHandler) Enabled(_ context.Context, l slog.Level) bool { return l >= h.level }

// Handle implements slog.Handler. The cause stands behind a colon, everything else in parentheses.
func (h *plainHandler) Handle(_ context.Context, r slog.Record) error {
	cause, rest := "", []string{}
	add := func(a slog.Attr) bool {
		switch a.Key {
		case "why", "error":
			cause = ": " + a.Value.String()
		default:
			rest = append(rest, a.Key+" "+a.Value.String())
		}
		return true
	}
	for _, a := range h.attrs {
		add(a)
	}
	r.Attrs(add)
	text := "warning: " + r.Message + cause
	if len(rest) > 0 {
		text += " (" + strings.Join(rest, ", ") + ")"
	}
	_, err := fmt.Fprintf(h.to, "p2pchat: %s\n", screen.Clean(strings.ReplaceAll(text, "\n", "; ")))
	return err
}

// WithAttrs implements slog.Handler.
func (h *plainHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	c := *h
	c.attrs = slices.Concat(h.attrs, attrs)
	return &c
}

// WithGroup implements slog.Handler. Sentences have no groups.
func (h *plainHandler) WithGroup(string) slog.Handler { return h }
