package signaling

import (
	"context"
	"net"
	"net/http"
)

// DialWith replaces the function that connects to the server.
func (c *Client) DialWith(dial func(ctx context.Context, network, address string) (net.Conn, error)) {
	c.http.Transport.(*http.Transport).DialContext = dial
}
