package memstore

import (
	"context"
	"time"

	"p2pchat/signaling"
)

// await calls look until it finds something or fails, and between two calls waits to be notified. It returns
// nothing when the wait is over.
func await[T any](ctx context.Context, wait time.Duration, watch func(notify func(error)) (stop func()), look func() ([]T, error)) ([]T, error) {
	over := make(chan struct{})
	if wait < signaling.Forever {
		defer time.AfterFunc(wait, func() { close(over) }).Stop()
	}
	for {
		changed := make(chan struct{}, 1)
		stop := watch(func(error) {
			select {
			case changed <- struct{}{}:
			default:
			}
		})
		list, err := look()
		if err == nil && len(list) == 0 {
			select {
			case <-changed:
				stop()
				continue
			case <-over:
			case <-ctx.Done():
				err = ctx.Err()
			}
		}
		stop()
		return list, err
	}
}

// watchers are the waiters for changes of named things, which need not exist.
type watchers map[string]*waiters

// add has notify called once, when one of the named things changes or is woken. It may be called
// again for another one before remove is called; notify has to ignore that.
func (w watchers) add(notify func(error), names ...string) (remove func()) {
	added := make([]*waiter, len(names))
	for i, name := range names {
		list := w[name]
		if list == nil {
			list = new(waiters)
			w[name] = list
		}
		added[i] = &waiter{list: list, index: len(*list), notify: notify}
		*list = append(*list, added[i])
	}
	return func() {
		for i, one := range added {
			one.unlink()
			if list := w[names[i]]; list != nil && len(*list) == 0 {
				delete(w, names[i])
			}
		}
	}
}

// wakeAll notifies all who wait.
func (w watchers) wakeAll() {
	for name := range w {
		w.wake(name)
	}
}

// wake notifies those who wait for a thing.
func (w watchers) wake(name string) {
	if list := w[name]; list != nil {
		delete(w, name)
		list.wake(nil)
	}
}
