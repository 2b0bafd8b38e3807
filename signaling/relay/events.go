package relay

import (
	"fmt"
	"log/slog"
	"net"

	"github.com/pion/logging"
	"github.com/pion/turn/v5"
)

// events count the allocations, and tell the log of each.
func (r *Relay) events() turn.EventHandler {
	return turn.EventHandler{
		OnAllocationCreated: func(from, _ net.Addr, protocol, user, _ string, at net.Addr, _ int) {
			all := r.count(user, 1)
			r.config.Log.Info("the relay has a new allocation", "user", user, "from", from, "over", protocol, "at", at, "in_all", all)
		},
		OnAllocationDeleted: func(from, _ net.Addr, protocol, user, _ string) {
			all := r.count(user, -1)
			r.config.Log.Info("an allocation of the relay has ended", "user", user, "from", from, "over", protocol, "in_all", all)
		},
	}
}

func (r *Relay) count(user string, by int) (all int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.total += by
	if r.users[user] += by; r.users[user] <= 0 {
		delete(r.users, user)
	}
	return r.total
}

// Allocations is how many there are.
func (r *Relay) Allocations() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.total
}

// pionLog hands pion's log on, a level down: strangers cause most of it.
type pionLog struct{ to *slog.Logger }

func (l pionLog) NewLogger(scope string) logging.LeveledLogger {
	return pionScope{l.to.With("pion", scope)}
}

type pionScope struct{ to *slog.Logger }

func (s pionScope) Trace(string)                   {}
func (s pionScope) Tracef(string, ...any)          {}
func (s pionScope) Debug(string)                   {}
func (s pionScope) Debugf(string, ...any)          {}
func (s pionScope) Info(m string)                  { s.to.Debug(m) }
func (s pionScope) Infof(format string, a ...any)  { s.to.Debug(fmt.Sprintf(format, a...)) }
func (s pionScope) Warn(m string)                  { s.to.Debug(m) }
func (s pionScope) Warnf(format string, a ...any)  { s.to.Debug(fmt.Sprintf(format, a...)) }
func (s pionScope) Error(m string)                 { s.to.Debug(m) }
func (s pionScope) Errorf(format string, a ...any) { s.to.Debug(fmt.Sprintf(format, a...)) }
