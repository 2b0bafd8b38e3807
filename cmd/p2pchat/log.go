package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"p2pchat/chat/screen"
)

// logOptions are the flags of every command that logs.
type logOptions struct {
	level, format, file string

	sentences bool // a person reads stderr: warnings are sentences
}

func (o *logOptions) register(flags *pflag.FlagSet) {
	flags.StringVar(&o.level, "log-level", "warn", "lowest `LEVEL` that is logged: debug, info, warn or error")
	flags.StringVar(&o.format, "log-format", "text", "`FORMAT` of the log: text or json")
	flags.StringVar(&o.file, "log-file", "", "append the log to this `FILE` instead of stderr")
}

// logger returns the logger that the flags ask for. It logs to the writer without --log-file.
func (o *logOptions) logger(to io.Writer) (*slog.Logger, error) {
	for flag, value := range map[string]string{"log-level": o.level, "log-format": o.format} {
		if err := checkChoice(flag, value); err != nil {
			return nil, err
		}
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(o.level)); err != nil {
		return nil, err
	}
	if o.file != "" {
		file, err := os.OpenFile(o.file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600) // open until the program ends
		if err != nil {
			return nil, &usageError{err: fmt.Errorf("--log-file: %w", err), hint: "name a file that you can write to, in a folder that exists"}
		}
		to = file
	}
	options := &slog.HandlerOptions{Level: level}
	var handler slog.Handler = slog.NewTextHandler(noteWriter{to}, options)
	switch {
	case o.format == "json":
		handler = slog.NewJSONHandler(to, options)
	case o.sentences && o.file == "" && level >= slog.LevelWarn:
		handler = &sentenceHandler{to: to, level: level}
	}
	log := slog.New(handler)
	slog.SetDefault(log) // what libraries write with package log goes there too, as info
	return log, nil
}

// A noteWriter begins each line of the log like the other lines on stderr.
type noteWriter struct{ to io.Writer }

func (w noteWriter) Write(b []byte) (int, error) {
	if _, err := fmt.Fprintf(w.to, "p2pchat: %s", b); err != nil {
		return 0, err
	}
	return len(b), nil
}

// A sentenceHandler writes log records as sentences, for a person.
type sentenceHandler struct {
	to    io.Writer
	level slog.Level
	attrs []slog.Attr
}

// Enabled implements slog.Handler.
func (h *sentenceHandler) Enabled(_ context.Context, l slog.Level) bool { return l >= h.level }

// Handle implements slog.Handler. The error comes after a colon, other attributes in parentheses.
func (h *sentenceHandler) Handle(_ context.Context, r slog.Record) error {
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
func (h *sentenceHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	c := *h
	c.attrs = slices.Concat(h.attrs, attrs)
	return &c
}

// WithGroup implements slog.Handler. Sentences have no groups.
func (h *sentenceHandler) WithGroup(string) slog.Handler { return h }
