package peer

import (
	"bytes"
	"log/slog"
	"net"
	"strings"
	"testing"
)

func TestInterfaces(t *testing.T) {
	t.Run("those of containers and virtual machines are virtual", func(t *testing.T) {
		for name, want := range map[string]bool{
			"docker0": true, "br-1a2b3c": true, "veth12": true, "virbr0": true, "cni0": true, "flannel.1": true, "vmnet8": true, "vboxnet0": true,
			"eth0": false, "enp3s0": false, "wlan0": false, "wlp2s0": false, "lo": false, "en0": false, "Wi-Fi": false,
			"wg0": false, "tun0": false, "tailscale0": false, "ppp0": false, "bridge": false, "": false,
		} {
			if virtual(name) != want {
				t.Errorf("%q is virtual: %v, want %v", name, !want, want)
			}
		}
	})

	t.Run("of this machine's at least one stays", func(t *testing.T) {
		worth, _ := worthwhile()
		all, err := net.Interfaces()
		if err != nil || len(all) == 0 {
			t.Skip("this system does not tell its interfaces: ", err)
		}
		for _, i := range all {
			if worth(i.Name) {
				return
			}
		}
		t.Error("none does")
	})

	t.Run("a real one always stays", func(t *testing.T) {
		for _, name := range []string{"eth0", "wlan0", "lo"} {
			if worth, _ := worthwhile(); !worth(name) {
				t.Errorf("%s is left out", name)
			}
		}
	})
}

func TestPionLog(t *testing.T) {
	var text bytes.Buffer
	levels := slog.NewTextHandler(&text, &slog.HandlerOptions{Level: slog.LevelDebug})
	l := pionLog{slog.New(levels)}.NewLogger("ice")
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
