//go:build !linux

package pionnet

import (
	"errors"
	"net"
)

const canSteer = false

func sendBy(*net.UDPConn, int) error { return errors.ErrUnsupported }

func isTap(string) bool { return false } // it matters only to sockets that are steered
