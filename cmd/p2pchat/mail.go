package main

import (
	"context"
	"math"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"p2pchat/signaling/memstore"
	"p2pchat/signaling/server"
)

const (
	defaultMailQuota = "blocks=128,box=262144,client=16777216,all=67108864"
	maxMailBox       = 768 << 10 // bytes: NATS takes messages of 1 MiB unless it is configured otherwise
)

// mailOptions are the flags of serve that begin with mail. validate completes limits and client.
type mailOptions struct {
	on         bool
	quota, ttl string

	limits memstore.MailLimits
	client int // bytes
}

func (o *mailOptions) register(f *pflag.FlagSet) {
	f.BoolVar(&o.on, "mail", false, "keep sealed messages for people who are away")
	f.StringVar(&o.quota, "mail-quota", defaultMailQuota, "`LIMITS`: blocks and bytes of one mailbox, bytes that one client may leave within --mail-ttl (fewer as the mailboxes fill), bytes of all mailboxes")
	f.StringVar(&o.ttl, "mail-ttl", "7d", "`TIME` after which a message that was not read is deleted, such as 7d or 12h")
}

// validate reads the values of the flags.
func (o *mailOptions) validate() (err error) {
	if o.limits, o.client, err = mailQuota(o.quota); err != nil {
		return err
	}
	if o.limits.Life, err = mailLife(o.ttl); err != nil {
		return err
	}
	o.limits = o.limits.WithDefaults() // what the flag has left out
	return nil
}

// mailQuota reads the value of --mail-quota: the limits of mailboxes, and the bytes of one client.
func mailQuota(text string) (limits memstore.MailLimits, client int, err error) {
	all := 0
	err = parseLimits("--mail-quota", text, defaultMailQuota, map[string]func(string) bool{
		"blocks": readInt(&limits.Blocks, 1, 1<<16), "box": readInt(&limits.BoxBytes, 512, maxMailBox),
		"client": readInt(&client, 0, math.MaxInt), "all": readInt(&all, 512, math.MaxInt),
	})
	limits.Bytes = int64(all)
	return limits, client, err
}

// mailLife reads the value of --mail-ttl.
func mailLife(text string) (life time.Duration, err error) {
	if !readLife(&life)(text) {
		return 0, cannotRead("--mail-ttl", text, "7d, or 12h; a second at least")
	}
	return life, nil
}

// readLife returns a function that reads a number of days (7d), or a duration of a second at least.
func readLife(into *time.Duration) func(string) bool {
	return func(text string) bool {
		if days, ok := strings.CutSuffix(text, "d"); ok {
			n := 0
			ok = readInt(&n, 1, 1000)(days)
			*into = time.Duration(n) * 24 * time.Hour
			return ok
		}
		return readDuration(into)(text) && *into >= time.Second
	}
}

// build opens the mailboxes beside the rooms.
func (o *mailOptions) build(ctx context.Context, rooms *store) (c server.MailConfig, measures []server.Measure, err error) {
	if !o.on {
		return c, nil, nil
	}
	m, err := rooms.mail(ctx, o.limits)
	if err != nil {
		return c, nil, err
	}
	measures = []server.Measure{
		{Name: "p2pchat_mailboxes", Help: "Mailboxes that are not empty, over all servers that share them.", Value: func() float64 {
			boxes, _ := m.Usage()
			return float64(boxes)
		}},
		{Name: "p2pchat_mail_bytes", Help: "Bytes in all mailboxes, over all servers that share them.", Value: func() float64 {
			_, bytes := m.Usage()
			return float64(bytes)
		}},
	}
	return server.MailConfig{Boxes: m, ClientBytes: o.client, Life: o.limits.Life, Free: m.Free}, measures, nil
}
