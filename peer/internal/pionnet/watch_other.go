//go:build !(linux || darwin || dragonfly || freebsd || netbsd || openbsd || windows)

package pionnet

import (
	"context"
	"errors"
)

// subscribe returns an error: this system tells nothing.
func subscribe(context.Context, chan<- bool, func(func())) (end func(), err error) {
	return nil, errors.ErrUnsupported
}
