package relay

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // in an HMAC, as the scheme and its other servers have it
	"encoding/base64"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/pion/stun/v4"
	"github.com/pion/turn/v5"

	"p2pchat/signaling"
)

// Credentials are what user needs to relay: a name with the time until which it is good,
// and an HMAC of that (the scheme of draft-uberti-behave-turn-rest-00). The quota is
// counted for each user, of whom the name and the log do not tell more than that it is
// the same one. There are none before Serve listens.
func (r *Relay) Credentials(user string) []signaling.ICEServer {
	until := time.Now().Add(r.config.Quota.Lifetime)
	name := strconv.FormatInt(until.Unix(), 10) + ":" + r.password("user " + user)[:12]
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []signaling.ICEServer
	if len(r.stun) > 0 {
		list = append(list, signaling.ICEServer{URLs: r.stun})
	}
	if len(r.turn) > 0 {
		list = append(list, signaling.ICEServer{URLs: r.turn, Username: name, Credential: r.password(name)})
	}
	return list
}

func (r *Relay) password(name string) string {
	mac := hmac.New(sha1.New, r.secret)
	mac.Write([]byte(name))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// authenticate tells whether a request's user may still make it. Credentials that have
// expired make no new allocation, but an old one may go on.
func (r *Relay) authenticate(request *turn.RequestAttributes) (user string, key []byte, ok bool) {
	text, user, found := strings.Cut(request.Username, ":")
	until, err := strconv.ParseInt(text, 10, 64)
	if err != nil || !found {
		return "", nil, false
	}
	end := time.Unix(until, 0)
	if request.Method != stun.MethodAllocate {
		end = end.Add(longestUse)
	}
	if time.Now().After(end) {
		return "", nil, false
	}
	return user, turn.GenerateAuthKey(request.Username, request.Realm, r.password(request.Username)), true
}

// admit tells whether user may have another allocation, whoever made the ones before:
// what is asked for at once is counted again when it is made.
func (r *Relay) admit(user, _ string, _ net.Addr) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fits(user) {
		return true
	}
	r.stats.Refused++
	r.config.Log.Warn("the relay refused an allocation: the quota is used up", "user", user, "allocations", r.users[user], "in_all", r.stats.Allocations)
	return false
}

// fits tells, under mu, whether the quotas have room for one more.
func (r *Relay) fits(user string) bool {
	return r.stats.Allocations < r.config.Quota.All && r.users[user] < r.config.Quota.User
}

// take counts a new allocation of user, if the quotas have room for it.
func (r *Relay) take(user string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.fits(user) {
		r.stats.Refused++
		return false
	}
	r.users[user]++
	r.stats.Allocations++
	r.stats.Made++
	return true
}

// give counts one less.
func (r *Relay) give(user string, at netip.AddrPort) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.taken, at)
	r.stats.Allocations--
	if r.users[user]--; r.users[user] == 0 {
		delete(r.users, user)
	}
}

// Stats is what the relay has done so far.
func (r *Relay) Stats() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.stats
	s.Received, s.Sent, s.Dropped = r.received.Load(), r.sent.Load(), r.dropped.Load()
	return s
}
