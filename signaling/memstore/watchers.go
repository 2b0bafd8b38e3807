package memstore

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

// wake notifies those who wait for a thing.
func (w watchers) wake(name string) {
	if list := w[name]; list != nil {
		delete(w, name)
		list.wake(nil)
	}
}
