package relay

import "net"

// Stats are counts since New.
type Stats struct {
	Allocations int    // current
	Made        uint64 // allocations in all
	Refused     [refusalKinds]uint64
	Received    uint64 // bytes from the peers' addresses
	Sent        uint64 // bytes to the peers' addresses
	Dropped     uint64 // bytes over the bandwidth
}

// Stats returns the relay's counts so far.
func (r *Relay) Stats() Stats {
	r.mu.Lock()
	s := r.stats
	r.mu.Unlock()
	s.Received, s.Sent, s.Dropped = r.received.Load(), r.sent.Load(), r.dropped.Load()
	for i := range s.Refused {
		s.Refused[i] = r.refusals[i].Load()
	}
	return s
}

// mayAllocate reports whether the quotas allow user another allocation. acquire checks again,
// because several requests at once all pass mayAllocate. pion calls it.
func (r *Relay) mayAllocate(user, _ string, _ net.Addr) bool {
	r.mu.Lock()
	ok, has, all := r.fits(user), r.users[user], r.stats.Allocations
	r.mu.Unlock()
	if !ok {
		r.refuse(RefusedQuota, "last_user", user, "allocations", has, "in_all", all)
	}
	return ok
}

// fits reports whether the quotas allow user another allocation. The caller holds r.mu.
func (r *Relay) fits(user string) bool {
	return r.stats.Allocations < r.config.Quota.All && r.users[user] < r.config.Quota.User
}

// acquire counts a new allocation of user, and returns false if the quotas do not allow it.
func (r *Relay) acquire(user string) bool {
	r.mu.Lock()
	ok := r.fits(user)
	if ok {
		r.users[user]++
		r.stats.Allocations++
		r.stats.Made++
	}
	r.mu.Unlock()
	if !ok {
		r.refuse(RefusedQuota, "last_user", user)
	}
	return ok
}

// release takes an allocation that has ended off the counts.
func (r *Relay) release(a *allocation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.allocations[a.at] == a {
		delete(r.allocations, a.at)
	}
	if r.byClient[a.client] == a {
		delete(r.byClient, a.client)
	}
	r.stats.Allocations--
	if r.users[a.user]--; r.users[a.user] == 0 {
		delete(r.users, a.user)
	}
}
