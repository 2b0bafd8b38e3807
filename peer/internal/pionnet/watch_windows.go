package pionnet

import (
	"context"
	"sync"
	"unsafe"

	"golang.org/x/sys/windows"
)

// watches has the channels of the watches of this process, on which callback tells.
var watches struct {
	sync.Mutex
	told map[chan<- bool]bool
}

// callback returns the function that Windows calls for each change, on a thread of its own. There is one, as Go never frees them.
var callback = sync.OnceValue(func() uintptr { return windows.NewCallback(tellWatches) })

func tellWatches(_, _, _ uintptr) uintptr {
	watches.Lock()
	defer watches.Unlock()
	for told := range watches.told {
		select {
		case told <- true:
		default: // it has something
		}
	}
	return 0
}

// subscribe has Windows tell on told of changes, until end is called.
func subscribe(_ context.Context, told chan<- bool, _ func(func())) (end func(), err error) {
	var registered []windows.Handle
	end = func() {
		for _, handle := range registered {
			_ = windows.CancelMibChangeNotify2(handle) // it waits for a call that is under way, which takes the lock
		}
		watches.Lock()
		defer watches.Unlock()
		delete(watches.told, told)
	}
	watches.Lock()
	if watches.told == nil {
		watches.told = map[chan<- bool]bool{}
	}
	watches.told[told] = true
	watches.Unlock()
	for _, register := range []func(uint16, uintptr, unsafe.Pointer, bool, *windows.Handle) error{
		windows.NotifyUnicastIpAddressChange, windows.NotifyRouteChange2, windows.NotifyIpInterfaceChange,
	} {
		var handle windows.Handle
		if err := register(windows.AF_UNSPEC, callback(), nil, false, &handle); err != nil {
			end()
			return nil, err
		}
		registered = append(registered, handle)
	}
	return end, nil
}
