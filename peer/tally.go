package peer

import (
	"context"
	"log/slog"
	"math/bits"
	"sync/atomic"
)

// A tally counts what others can do without end. It logs the 1st, the 2nd, the 4th, the
// 8th ... time, so that they cannot fill the log.
type tally struct{ n atomic.Uint64 }

func (t *tally) warn(log *slog.Logger, message string, args ...any) {
	t.log(log, slog.LevelWarn, message, args...)
}

func (t *tally) log(log *slog.Logger, level slog.Level, message string, args ...any) {
	if n := t.n.Add(1); bits.OnesCount64(n) == 1 {
		log.Log(context.Background(), level, message, append(args, "count", n)...)
	}
}
