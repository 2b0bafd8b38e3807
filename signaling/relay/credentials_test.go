package relay

import (
	"net/netip"
	"strconv"
	"testing"
	"time"

	"github.com/pion/stun/v4"
	"github.com/pion/turn/v5"

	"p2pchat/signaling"
)

func TestStrangers(t *testing.T) {
	for name, forge := range map[string]func(*Relay) []signaling.ICEServer{
		"without credentials": func(r *Relay) []signaling.ICEServer {
			s := r.Credentials("a", nil)
			s[1].Username, s[1].Credential = "", ""
			return s
		},
		"with a password of their own": func(r *Relay) []signaling.ICEServer {
			s := r.Credentials("a", nil)
			s[1].Credential = "password"
			return s
		},
		"with a time of their own": func(r *Relay) []signaling.ICEServer {
			s := r.Credentials("a", nil)
			s[1].Username = "9" + s[1].Username
			return s
		},
		"with a name without a time": func(r *Relay) []signaling.ICEServer {
			s := r.Credentials("a", nil)
			s[1].Username, s[1].Credential = "name", r.password("name")
			return s
		},
		"with another relay's": func(r *Relay) []signaling.ICEServer {
			other, err := New(Config{Addresses: []netip.Addr{loopback}})
			if err != nil {
				return nil
			}
			other.stun, other.turn = r.stun, r.turn
			return other.Credentials("a", nil)
		},
	} {
		t.Run(name+" get nothing", func(t *testing.T) {
			r := serving(t, Config{})
			if conn, err := client(t, forge(r), "udp").Allocate(); err == nil {
				t.Error("they are relayed at ", conn.LocalAddr())
			}
			if r.Stats().Allocations > 0 {
				t.Error("there is an allocation")
			}
		})
	}

	t.Run("with expired credentials get nothing, but keep their allocations", func(t *testing.T) {
		r := serving(t, Config{Quota: Quota{Lifetime: time.Nanosecond}})
		if _, err := client(t, r.Credentials("a", nil), "udp").Allocate(); err == nil {
			t.Error("they are relayed")
		}
		for age, keeps := range map[time.Duration]bool{time.Minute: true, maxOverrun - time.Minute: true, maxOverrun + time.Minute: false} {
			name := strconv.FormatInt(time.Now().Add(-age).Unix(), 10) + ":a"
			for _, method := range []stun.Method{stun.MethodAllocate, stun.MethodRefresh, stun.MethodCreatePermission} {
				want := keeps && method != stun.MethodAllocate
				if _, _, ok := r.authenticate(&turn.RequestAttributes{Username: name, Realm: realm, Method: method}); ok != want {
					t.Errorf("%v after, %v: %v", age, method, ok)
				}
			}
		}
	})
}
