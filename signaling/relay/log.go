package relay

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/pion/logging"
)

// A pionLog writes pion's log at the debug level, because strangers cause most of its lines. It
// formats no line unless that level is enabled, because pion logs each packet.
type pionLog struct{ to *slog.Logger }

func (l pionLog) NewLogger(scope string) logging.LeveledLogger {
	return pionScope{l.to.With("pion", scope)}
}

type pionScope struct{ to *slog.Logger }

func (s pionScope) logf(format string, a ...any) {
	if s.to.Enabled(context.Background(), slog.LevelDebug) {
		s.to.Debug(fmt.Sprintf(format, a...))
	}
}

func (s pionScope) Trace(string)                   {}
func (s pionScope) Tracef(string, ...any)          {}
func (s pionScope) Debug(string)                   {}
func (s pionScope) Debugf(string, ...any)          {}
func (s pionScope) Info(m string)                  { s.to.Debug(m) }
func (s pionScope) Infof(format string, a ...any)  { s.logf(format, a...) }
func (s pionScope) Warn(m string)                  { s.to.Debug(m) }
func (s pionScope) Warnf(format string, a ...any)  { s.logf(format, a...) }
func (s pionScope) Error(m string)                 { s.to.Debug(m) }
func (s pionScope) Errorf(format string, a ...any) { s.logf(format, a...) }
