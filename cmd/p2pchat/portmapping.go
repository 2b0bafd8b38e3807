package main

import (
	"context"

	"github.com/spf13/pflag"

	"p2pchat/peer"
	"p2pchat/peer/survey"
)

// A portMappingOption is the flag --no-port-mapping.
type portMappingOption struct{ off bool }

func (o *portMappingOption) register(f *pflag.FlagSet) {
	f.BoolVar(&o.off, "no-port-mapping", false, "do not ask the router to open a port for a call (PCP, NAT-PMP or UPnP); more calls then need a relay")
}

// useful reports whether calls at a server should have a port mapped. All sides of a server on this machine are here, too.
func (o *portMappingOption) useful(server string) bool { return !o.off && !onLoopback(server) }

// A mappingFinding says whether the gateway opens ports.
type mappingFinding struct {
	Tried    bool   `json:"tried"`
	Protocol string `json:"protocol,omitempty"` // pcp, nat-pmp or upnp; empty: it opens none
	External string `json:"external,omitempty"` // that a call would have had
	Error    string `json:"error,omitempty"`
}

// found maps a port as a call with the config would, and removes the mapping.
func (f *mappingFinding) found(ctx context.Context, config peer.Config) {
	if f.Tried = config.MapsPorts(); !f.Tried {
		return
	}
	m, err := survey.MapPort(ctx)
	if err != nil {
		f.Error = flatten(err)
		return
	}
	f.Protocol, f.External = m.Protocol, m.External.String()
}

func (f mappingFinding) String() string {
	names := map[string]string{"pcp": "PCP", "nat-pmp": "NAT-PMP", "upnp": "UPnP"}
	switch {
	case !f.Tried:
		return "not tried: calls do not use it here"
	case f.Error != "":
		return "no: " + f.Error
	}
	return "yes: the gateway opens a port by " + names[f.Protocol] + ", such as " + f.External + ": other sides reach it directly, behind any NAT"
}
