package pionnet

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
)

func TestLog(t *testing.T) {
	var text bytes.Buffer
	levels := slog.NewTextHandler(&text, &slog.HandlerOptions{Level: slog.LevelDebug})
	l := Log{slog.New(levels)}.NewLogger("ice")
	l.Trace("not this")
	l.Tracef("%s", "not this")
	l.Debug("not this")
	l.Debugf("%s", "not this")
	l.Info("an info")
	l.Infof("the %dnd info", 2)
	l.Warn("a warning")
	l.Warnf("the %dnd warning", 2)
	l.Error("an error")
	l.Errorf("the %dnd error", 2)
	for _, want := range []string{
		`level=DEBUG msg="an info" pion=ice`, `level=DEBUG msg="the 2nd info" pion=ice`,
		`level=DEBUG msg="a warning" pion=ice`, `level=DEBUG msg="the 2nd warning" pion=ice`,
		`level=INFO msg="an error" pion=ice`, `level=INFO msg="the 2nd error" pion=ice`,
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the log does not say %s:\n%s", want, text.String())
		}
	}
	if strings.Contains(text.String(), "not this") {
		t.Errorf("the log says too much:\n%s", text.String())
	}
}
