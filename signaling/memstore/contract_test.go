package memstore_test

import (
	"testing"

	"go.uber.org/goleak"

	"p2pchat/signaling"
	"p2pchat/signaling/memstore"
	"p2pchat/signaling/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestStore(t *testing.T) {
	storetest.RunVirtual(t, func(_ *testing.T, limits storetest.Limits, observe func(signaling.Store) signaling.Store) signaling.Store {
		return observe(memstore.New(memstore.Limits{Rooms: limits.Rooms, Candidates: limits.Candidates, ListBytes: limits.ListBytes}))
	})
}

func TestMail(t *testing.T) {
	storetest.RunMailVirtual(t, func(_ *testing.T, limits storetest.MailLimits, observe func(signaling.MailWatcher) signaling.MailWatcher) signaling.Mail {
		return observe(memstore.NewMail(memstore.MailLimits(limits)))
	})
}
