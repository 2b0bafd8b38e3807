package pionnet

import (
	"testing"

	"github.com/pion/ice/v4"
	"github.com/pion/stun/v4"
)

func TestFirstCheckTakes(t *testing.T) {
	host := func(network, address string) ice.Candidate {
		c, err := ice.NewCandidateHost(&ice.CandidateHostConfig{Network: network, Address: address, Port: 9, Component: 1, TCPType: ice.TCPTypePassive})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	relay, err := ice.NewCandidateRelay(&ice.CandidateRelayConfig{Network: "udp", Address: "192.0.2.9", Port: 9, Component: 1, RelayProtocol: "udp"})
	if err != nil {
		t.Fatal(err)
	}
	unnamed, err := ice.NewCandidatePeerReflexive(&ice.CandidatePeerReflexiveConfig{Network: "udp", Address: "192.0.2.2", Port: 9, Component: 1})
	if err != nil {
		t.Fatal(err)
	}
	near, far, loopback := host("udp", "192.0.2.1"), host("udp", "192.0.2.2"), host("udp", "127.0.0.1")
	direct := ice.PriorityAttr(near.Priority())
	for name, c := range map[string]struct {
		local, remote ice.Candidate
		from          stun.Setter // the sender's role
		priority      ice.PriorityAttr
		answered, off bool
		want          bool
	}{
		"the controlled side's first":                      {local: near, remote: unnamed, want: true},
		"switched off":                                     {local: near, remote: unnamed, off: true},
		"at a relay of this side":                          {local: relay, remote: unnamed},
		"from a relay that the other side has named":       {local: near, remote: relay},
		"from a relay that it has not named yet":           {local: near, remote: unnamed, priority: ice.PriorityAttr(relay.Priority())},
		"from an address to loopback":                      {local: loopback, remote: unnamed},
		"from loopback to an address":                      {local: near, remote: loopback},
		"from loopback to loopback":                        {local: loopback, remote: loopback, want: true},
		"over TCP":                                         {local: host("tcp", "192.0.2.1"), remote: host("tcp", "192.0.2.2")},
		"the controlling side's first":                     {local: near, remote: far, from: ice.AttrControlled(1)},
		"the controlling side's, after a response":         {local: near, remote: far, from: ice.AttrControlled(1), answered: true, want: true},
		"the controlling side's, from an unnamed address":  {local: near, remote: unnamed, from: ice.AttrControlled(1), answered: true},
		"the controlling side's, from a relay":             {local: near, remote: relay, from: ice.AttrControlled(1), answered: true},
		"the controlling side's, at a relay of this side":  {local: relay, remote: far, from: ice.AttrControlled(1), answered: true},
		"the controlling side's, from loopback to address": {local: near, remote: loopback, from: ice.AttrControlled(1), answered: true},
	} {
		if c.from == nil {
			c.from = ice.AttrControlling(1)
		}
		if c.priority == 0 {
			c.priority = direct
		}
		check, err := stun.Build(stun.BindingRequest, c.from, c.priority)
		if err != nil {
			t.Fatal(err)
		}
		pair := &ice.CandidatePair{Local: c.local, Remote: c.remote}
		if c.answered {
			pair.UpdateRoundTripTime(1)
		}
		f := &FirstCheck{}
		if !c.off {
			f.Start()
		}
		if got := f.Take(check, c.local, c.remote, pair); got != c.want {
			t.Errorf("%s: Take says %v", name, got)
		}
	}
}
