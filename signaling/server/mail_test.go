package server

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"p2pchat/signaling"
	"p2pchat/signaling/memstore"
)

// A testBox is a mailbox for requests that are written out.
type testBox struct {
	Name        string
	putter, box signaling.Box
}

func newTestBox(put, take string) testBox {
	putter, box := signaling.NewBox(put, take)
	return testBox{box.Name, putter, box}
}

func (b testBox) path() string { return "/mail/" + b.Name }
func (b testBox) put() string  { return bearing(b.putter.Credential()) }
func (b testBox) take() string { return bearing(b.box.Credential()) }

var aBox = newTestBox("the put token", "the take token")

// blockOf is a block in JSON.
func blockOf(number uint64, size int) string {
	body, _ := json.Marshal(signaling.Block{Number: number, Bytes: make([]byte, size)})
	return string(body)
}

func aBlock(number uint64) string { return blockOf(number, 512) }

// goneMail cannot be reached.
type goneMail struct{}

func (goneMail) AddBlock(context.Context, signaling.Box, signaling.Block) (time.Duration, error) {
	return 0, signaling.ErrUnavailable
}

func (goneMail) Blocks(context.Context, signaling.Box, uint64, time.Duration) ([]signaling.Block, error) {
	return nil, signaling.ErrUnavailable
}

func (goneMail) DeleteBlocks(context.Context, signaling.Box, uint64) error {
	return signaling.ErrUnavailable
}
func (goneMail) WatchBox(string, func(error)) (stop func()) { return func() {} }

func mailConfig(limits memstore.MailLimits, client int) Config {
	limits = limits.WithDefaults()
	return Config{Mail: MailConfig{Boxes: memstore.NewMail(limits), ClientBytes: client, Life: limits.Life}}
}

// walkMail provokes whatever can happen to a mailbox, and returns it.
func walkMail(t *testing.T) map[string]bool {
	path, through := aBox.path(), aBox.path()+"?through=9"
	s := open(t, memstore.Limits{}, mailConfig(memstore.MailLimits{Blocks: 2, Bytes: 2048}, 2200))
	s.get(path, aBox.take()).is(200)
	s.post(path, aBlock(1), aBox.put()).is(201)
	s.post(path, aBlock(3), aBox.put()).is(201)
	s.post(path, aBlock(2), aBox.put()).problem(409, "block-exists")
	s.post(path, aBlock(4), aBox.put()).problem(409, "box-full")
	s.post(path, aBlock(5), aBox.put()).problem(429, "client-mail")
	s.post(path, aBlock(5)).problem(401, "wrong-token")
	s.get(path).problem(401, "wrong-token")
	s.send("DELETE", through, "").problem(401, "wrong-token")
	s.post(path, `{"number":1}`, aBox.put()).problem(400, "invalid")
	s.post(path, `{"number":0,"block":"AA=="}`, aBox.put()).problem(400, "invalid")
	s.get(path+"?after=-1", aBox.take()).problem(400, "invalid")
	s.send("DELETE", path, "", aBox.take()).problem(400, "invalid")
	s.get("/mail/short", aBox.take()).problem(400, "invalid")
	s.post(path, strings.Repeat(" ", 64<<10+1), aBox.put()).problem(413, "too-large")
	s.send("DELETE", through, "", aBox.take()).is(204)
	s.Drain()
	s.get(path, aBox.take(), "Prefer: wait=1").is(503)

	full := open(t, memstore.Limits{}, mailConfig(memstore.MailLimits{Bytes: 600}, 0))
	full.post(path, aBlock(1), aBox.put()).is(201)
	full.post(path, aBlock(2), aBox.put()).problem(507, "mail-full")

	off := open(t, memstore.Limits{}, Config{})
	off.post(path, aBlock(1), aBox.put()).problem(404, "mail-off")
	off.get(path, aBox.take(), "Prefer: wait=9").problem(404, "mail-off")
	off.send("DELETE", through, "", aBox.take()).problem(404, "mail-off")

	locked := mailConfig(memstore.MailLimits{}, 0)
	locked.AccessKey = "sesame"
	key := open(t, memstore.Limits{}, locked)
	key.post(path, aBlock(1), aBox.put()).problem(401, "access-key")
	key.post(path, aBlock(1), aBox.put(), "X-P2PChat-Key: sesame").is(201)
	key.get(path, aBox.take()).is(200)

	happened := map[string]bool{}
	for _, c := range []*contract{s.seen, full.seen, off.seen, key.seen} {
		c.mu.Lock()
		maps.Copy(happened, c.seen)
		c.mu.Unlock()
	}
	return happened
}

func TestMail(t *testing.T) {
	t.Run("a waiting read is answered when a block comes", func(t *testing.T) {
		s := open(t, memstore.Limits{}, mailConfig(memstore.MailLimits{}, 0))
		waiting := s.park(aBox.path(), aBox.take())
		s.post(aBox.path(), aBlock(7), aBox.put()).is(201).says("{\"seconds\":604800}\n")
		got := s.heard(waiting).is(200)
		var list []signaling.Block
		if err := json.Unmarshal([]byte(got.body), &list); err != nil || len(list) != 1 || list[0].Number != 7 || len(list[0].Bytes) != 512 {
			t.Errorf("got %.100q, %v", got.body, err)
		}
		s.get(aBox.path()+"?after=7", aBox.take()).is(200).says("[]\n")
	})
	t.Run("what one client puts is bounded, repeated blocks too, and others may still put", func(t *testing.T) {
		config := mailConfig(memstore.MailLimits{}, 1024)
		config.TrustedProxies = behindProxy
		s := open(t, memstore.Limits{}, config)
		for range 2 {
			s.post(aBox.path(), aBlock(1), aBox.put(), "X-Forwarded-For: 2001:db8::1").is(201)
		}
		s.post(aBox.path(), aBlock(1), aBox.put(), "X-Forwarded-For: 2001:db8::2").problem(429, "client-mail")
		other := newTestBox("put", "take")
		s.post(other.path(), aBlock(1), other.put(), "X-Forwarded-For: 2001:db8::3").problem(429, "client-mail")
		s.post(other.path(), aBlock(1), other.put(), "X-Forwarded-For: 2001:db8:0:1::1").is(201)
		if n := s.scrape()[`p2pchat_limit_hits_total{limit="client_mail"}`]; n != "2" {
			t.Errorf("%s refusals are counted", n)
		}
	})
	t.Run("a crowd that puts all it can leaves bytes for others", func(t *testing.T) {
		limits := memstore.MailLimits{Bytes: 512 << 10}
		config := mailConfig(limits, 128<<10)
		config.Mail.Free = config.Mail.Boxes.(*memstore.Mail).Free
		config.TrustedProxies = behindProxy
		s := open(t, memstore.Limits{}, config)
		put := func(client string, n int) reply {
			box := newTestBox(strings.ReplaceAll(fmt.Sprintf("put.%s.%d", client, n/100), ".", "_"), "take")
			return s.post(box.path(), blockOf(uint64(n+1), 512), box.put(), from(client)) //nolint:gosec // n is no negative number
		}
		for n := range 20 { // five times as many as would fill the boxes with 128 KiB each
			mallory, blocks := fmt.Sprint("192.0.2.", n), 0
			for put(mallory, blocks).status == 201 {
				blocks++
			}
			put(mallory, blocks).problem(429, "client-mail")
		}
		put("198.51.100.1", 0).is(201)
	})
	t.Run("one client alone may leave all that its limit says", func(t *testing.T) {
		config := mailConfig(memstore.MailLimits{Bytes: 512 << 10}, 256<<10)
		config.Mail.Free = config.Mail.Boxes.(*memstore.Mail).Free
		s := open(t, memstore.Limits{}, config)
		blocks := 0
		for ; ; blocks++ {
			box := newTestBox(fmt.Sprint("put_", blocks/100), "take")
			if s.post(box.path(), blockOf(uint64(blocks+1), 512), box.put()).status != 201 {
				break
			}
		}
		if blocks < 480 { // of 512: what the boxes need beside the blocks is no client's
			t.Errorf("it leaves %d blocks", blocks)
		}
	})
	t.Run("a request without the put token costs its client nothing", func(t *testing.T) {
		s := open(t, memstore.Limits{}, mailConfig(memstore.MailLimits{}, 512))
		s.post(aBox.path(), aBlock(1), aBox.take()).problem(401, "wrong-token")
		s.post(aBox.path(), aBlock(1), aBox.put()).is(201)
	})
	t.Run("the log and the metrics name no box and no token", func(t *testing.T) {
		var log bytes.Buffer
		config := mailConfig(memstore.MailLimits{}, 0)
		config.Log = slog.New(slog.NewTextHandler(&log, nil))
		s := open(t, memstore.Limits{}, config)
		s.post(aBox.path(), aBlock(1), aBox.put()).is(201)
		s.get(aBox.path(), aBox.take()).is(200)
		s.send("DELETE", aBox.path()+"?through=1", "", aBox.take()).is(204)
		told := log.String() + strings.Join(slices.Collect(maps.Keys(s.scrape())), "\n")
		if !strings.Contains(told, "/mail/:box") {
			t.Error("the requests are not in the log")
		}
		for _, secret := range []string{aBox.Name, aBox.putter.Token, aBox.box.Token, aBox.put()[30:], aBox.take()[30:]} {
			if strings.Contains(told, secret) {
				t.Errorf("%q is told", secret)
			}
		}
	})
}
