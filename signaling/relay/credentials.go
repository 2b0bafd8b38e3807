package relay

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // in an HMAC, as the scheme demands
	"encoding/base64"
	"strconv"
	"strings"
	"time"

	"github.com/pion/stun/v4"
	"github.com/pion/turn/v5"

	"p2pchat/signaling"
)

// Credentials returns the relay's URLs, with credentials for user: a name that has the time until
// which it is valid, and an HMAC of the name (the scheme of draft-uberti-behave-turn-rest-00).
// The quota counts by user; the name and the log show only whether two users are the same.
// If guest is not nil, the credentials make an allocation only once [Listeners].Accepted returns
// true for that ticket; a ticket without a token gets no credentials. Before [Relay.Serve] listens,
// the list is empty.
func (r *Relay) Credentials(user string, guest *signaling.Ticket) []signaling.ICEServer {
	until := time.Now().Add(r.config.Quota.Lifetime)
	name := strconv.FormatInt(until.Unix(), 10) + ":" + r.password("user " + user)[:12]
	unknown := guest != nil && (guest.Token == "" || len(guest.Room)+len(guest.Token) > maxTicket)
	if guest != nil && !unknown {
		name += ":" + r.sealTicket(*guest)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []signaling.ICEServer
	if len(r.stun) > 0 {
		list = append(list, signaling.ICEServer{URLs: r.stun})
	}
	if len(r.turn) > 0 && !unknown {
		list = append(list, signaling.ICEServer{URLs: r.turn, Username: name, Credential: r.password(name), Held: guest != nil})
	}
	return list
}

func (r *Relay) password(name string) string {
	mac := hmac.New(sha1.New, r.secret)
	mac.Write([]byte(name))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// authenticate reports whether the credentials of a request are still valid for it. Expired
// credentials make no new allocation, but a client may keep its allocation for maxOverrun.
func (r *Relay) authenticate(request *turn.RequestAttributes) (user string, key []byte, ok bool) {
	text, user, found := strings.Cut(request.Username, ":")
	user, _, _ = strings.Cut(user, ":") // followed by a guest's ticket: see ticketOf
	until, err := strconv.ParseInt(text, 10, 64)
	if err != nil || !found {
		return "", nil, false
	}
	end := time.Unix(until, 0)
	if request.Method != stun.MethodAllocate {
		end = end.Add(maxOverrun)
	}
	if time.Now().After(end) {
		return "", nil, false
	}
	return user, turn.GenerateAuthKey(request.Username, request.Realm, r.password(request.Username)), true
}
