package relay

import "net"

// Stats counts what a relay has done since New.
type Stats struct {
	Allocations int    // current
	Made        uint64 // allocations in all
	Refused     [refusalKinds]uint64
	Received    uint64 // bytes from the peers' addresses
	Sent        uint64 // bytes to them
	Dropped     uint64 // bytes over the bandwidth
}

// Stats returns what the relay has done so far.
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

// admit reports whether user may have another allocation. take checks again, because requests
// that come at once all pass admit.
func (r *Relay) admit(user, _ string, _ net.Addr) bool {
	r.mu.Lock()
	ok, has, all := r.fits(user), r.users[user], r.stats.Allocations
	r.mu.Unlock()
	if !ok {
		r.refuse(RefusedQuota, "last_user", user, "allocations", has, "in_all", all)
	}
	return ok
}

// fits reports, under mu, whether the quotas have room for one more.
func (r *Relay) fits(user string) bool {
	return r.stats.Allocations < r.config.Quota.All && r.users[user] < r.config.Quota.User
}

// take counts a new allocation of user, if the quotas have room for it.
func (r *Relay) take(user string) bool {
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

// give counts an allocation that has ended.
func (r *Relay) give(a *allocation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.taken[a.at] == a {
		delete(r.taken, a.at)
	}
	if r.clients[a.client] == a {
		delete(r.clients, a.client)
	}
	r.stats.Allocations--
	if r.users[a.user]--; r.users[a.user] == 0 {
		delete(r.users, a.user)
	}
}
