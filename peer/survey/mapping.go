package survey

import (
	"context"

	"p2pchat/peer/internal/portmap"
)

// A Mapping is a port of the gateway that led to this machine.
type Mapping = portmap.Mapping

// MapPort asks the default gateway to map a UDP port, as a call does, and removes the mapping. It takes 4 s at most. It
// contacts only the gateway.
func MapPort(ctx context.Context) (Mapping, error) {
	g, err := portmap.Default()
	if err != nil {
		return Mapping{}, err
	}
	return g.Try(ctx)
}
