//go:build !linux

package longpoll

import (
	"errors"
	"net"
)

// epoll exists on Linux only. Elsewhere Attach fails, and nothing is parked.
type epoll struct{}

func newEpoll(func(key uint64)) (*epoll, error) { return nil, errors.ErrUnsupported }

func (*epoll) add(net.Conn, uint64) error { return errors.ErrUnsupported }
func (*epoll) remove(net.Conn)            {}
func (*epoll) close()                     {}
