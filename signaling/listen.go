package signaling

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

const (
	// MaxOffers is how many rooms one call of [Store.Offers] may wait in.
	MaxOffers = 1024
	// MinListenName is the least length of the names of these rooms: 22 characters can hold 128 bits
	// of chance.
	MinListenName = 22
	// MaxOffersRead bounds the bytes of the offers that one call returns, unless the first one is longer.
	MaxOffersRead = 64 << 10
)

// A WantedOffer is the offer of a room, unless it has the version that is known.
type WantedOffer struct {
	Room  string
	Known Version // empty: none is known
}

// Offered is the offer of a room.
type Offered struct {
	Room    string
	Version Version
	Offer   Description
}

// CheckWanted returns [ErrInvalid] if [Store.Offers] does not take these rooms.
func CheckWanted(wanted []WantedOffer) error {
	if len(wanted) == 0 || len(wanted) > MaxOffers {
		return invalid("one request waits in 1 to %d rooms", MaxOffers)
	}
	for _, w := range wanted {
		if err := CheckRoom(w.Room); err != nil {
			return err
		}
		if len(w.Room) < MinListenName {
			return invalid("the names of rooms that are waited for together have %d characters at least", MinListenName)
		}
	}
	return nil
}

// The JSON of the request and of the reply. The rooms of the request are sorted by name, whatever their order
// was: it would tell the server which rooms of two requests belong together.
type (
	listenRequest struct {
		Rooms map[string]Version `json:"rooms"` // what is known of each, perhaps nothing
	}
	listenOffer struct {
		Room    string          `json:"room"`
		Version Version         `json:"version"`
		Offer   json.RawMessage `json:"offer"`
	}
)

// ParseWanted returns the rooms in the JSON of a request. It returns [ErrInvalid] unless [Store.Offers] takes them.
func ParseWanted(body []byte) ([]WantedOffer, error) {
	var r listenRequest
	if err := json.Unmarshal(body, &r); err != nil {
		return nil, invalid("the body is not {\"rooms\": {…}} in JSON")
	}
	wanted := make([]WantedOffer, 0, len(r.Rooms))
	for room, known := range r.Rooms {
		wanted = append(wanted, WantedOffer{room, known})
	}
	return wanted, CheckWanted(wanted)
}

// JoinOffers returns a JSON array of offers, with the bytes of each as they are. It is the inverse of what
// [Client.Offers] reads.
func JoinOffers(list []Offered) []byte {
	joined := []byte{'['}
	for i, o := range list {
		if i > 0 {
			joined = append(joined, ',')
		}
		joined = fmt.Appendf(joined, `{"room":%q,"version":%q,"offer":`, o.Room, string(o.Version)) // neither has a character to escape
		joined = append(append(joined, o.Offer...), '}')
	}
	return append(joined, ']')
}

// Offers implements Store.
func (c *Client) Offers(ctx context.Context, wanted []WantedOffer, wait time.Duration) ([]Offered, error) {
	if err := CheckWanted(wanted); err != nil {
		return nil, err
	}
	known := map[string]Version{}
	for _, w := range wanted {
		known[w.Room] = w.Known
	}
	body, err := json.Marshal(listenRequest{known})
	if err != nil {
		return nil, err
	}
	r, err := c.poll(ctx, request{method: http.MethodPost, path: "/listen", body: body}, wait, func(r reply, err error) bool {
		return err == nil && isEmptyList(r.body)
	})
	if err != nil {
		return nil, err
	}
	var encoded []listenOffer
	if json.Unmarshal(r.body, &encoded) != nil || encoded == nil {
		return nil, fmt.Errorf("%w: it did not list offers", ErrForeign)
	}
	var list []Offered
	for _, o := range encoded {
		had, asked := known[o.Room]
		if !asked || o.Version == "" || o.Version == had {
			return nil, fmt.Errorf("%w: it sent an offer that was not asked for", ErrForeign)
		}
		if err := Description(o.Offer).Check(Caller); err != nil {
			return nil, foreign(err)
		}
		list = append(list, Offered{o.Room, o.Version, Description(o.Offer)})
	}
	return list, nil
}
