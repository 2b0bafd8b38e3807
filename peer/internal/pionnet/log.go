package pionnet

import (
	"fmt"
	"log/slog"

	"github.com/pion/logging"
)

// A Log is a logging.LoggerFactory that passes pion's log on, a level down.
//
// pion warns of what a network does all day, such as a packet that cannot be sent, and a person can do
// nothing about it. A slog handler in pion, and levels that mean what a person can act on, would retire this.
type Log struct{ To *slog.Logger }

// NewLogger returns the logger of one part of pion.
func (l Log) NewLogger(scope string) logging.LeveledLogger {
	return scoped{l.To.With("pion", scope)}
}

type scoped struct{ to *slog.Logger }

func (s scoped) Trace(string)                   {}
func (s scoped) Tracef(string, ...any)          {}
func (s scoped) Debug(string)                   {}
func (s scoped) Debugf(string, ...any)          {}
func (s scoped) Info(m string)                  { s.to.Debug(m) }
func (s scoped) Infof(format string, a ...any)  { s.to.Debug(fmt.Sprintf(format, a...)) }
func (s scoped) Warn(m string)                  { s.to.Debug(m) }
func (s scoped) Warnf(format string, a ...any)  { s.to.Debug(fmt.Sprintf(format, a...)) }
func (s scoped) Error(m string)                 { s.to.Info(m) }
func (s scoped) Errorf(format string, a ...any) { s.to.Info(fmt.Sprintf(format, a...)) }
