package storetest_test

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"p2pchat/signaling"
	"p2pchat/signaling/memstore"
	"p2pchat/signaling/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	model = "random_requests_find_what_a_simple_model_holds"
	lobby = "random_requests_in_the_lobby_find_what_a_simple_model_holds"
)

// Each broken Store breaks one sentence of the documentation; the test of that sentence must fail.
var broken = map[string]struct {
	sentence string
	store    func(signaling.Store) signaling.Store
}{
	"forgets that an offer was repeated": {"offer/an_offer_repeated_with_its_ticket_changes_nothing", func(s signaling.Store) signaling.Store { return forgetful{s} }},
	"lets an old token read":             {"reoffer/after_a_new_offer_of_the_caller,_the_callee's_token_is_not_valid", func(s signaling.Store) signaling.Store { return trusting{s} }},
	"asks for a token of the room":       {"read/a_token_of_the_reader's_own_makes_no_difference_to_what_the_caller_writes", func(s signaling.Store) signaling.Store { return strict{s} }},
	"ignores which offer is answered":    {"answer/an_answer_may_name_the_offer_that_it_answers", func(s signaling.Store) signaling.Store { return careless{s} }},
	"adds candidates twice":              {"candidates/candidates_that_the_list_has_are_not_added_again", func(s signaling.Store) signaling.Store { return doubling{s} }},
	"ends a wait early":                  {"wait/a_read_says_what_there_is_when_its_wait_is_over", func(s signaling.Store) signaling.Store { return hasty{s} }},
	"mixes rooms up":                     {"offer/rooms_do_not_see_each_other", func(s signaling.Store) signaling.Store { return muddled{s} }},
	"trims what it is given":             {"offer/an_offer_is_read_byte_for_byte_as_it_was_written", func(s signaling.Store) signaling.Store { return tidy{s} }},

	"repeats nothing":                   {"model/" + model, func(s signaling.Store) signaling.Store { return forgetful{s} }},
	"knows no versions":                 {"model/" + model, func(s signaling.Store) signaling.Store { return careless{s} }},
	"doubles candidates":                {"model/" + model, func(s signaling.Store) signaling.Store { return doubling{s} }},
	"tells a second answer it is first": {"model/" + model, func(s signaling.Store) signaling.Store { return flattering{s} }},
	"shows all to an old callee":        {"model/" + model, func(s signaling.Store) signaling.Store { return trusting{s} }},
	"ends a wait after half a second":   {"model/" + model, func(s signaling.Store) signaling.Store { return hasty{s} }},
	"waits on in a closed room":         {"model/" + model, func(s signaling.Store) signaling.Store { return clinging{s} }},
	"lets an old callee wait on":        {"model/" + model, func(s signaling.Store) signaling.Store { return patient{s} }},
	"has one answer in the lobby":       {"model/" + lobby, func(s signaling.Store) signaling.Store { return stubborn{s} }},
	"lets an old caller wait on":        {"model/" + lobby, func(s signaling.Store) signaling.Store { return trusting{s} }},
}

// clinging waits for the next call when a room is closed.
type clinging struct{ signaling.Store }

func (s clinging) Description(ctx context.Context, t signaling.Ticket, of signaling.Side, known signaling.Version, wait time.Duration) (signaling.Description, signaling.Version, error) {
	d, v, err := s.Store.Description(ctx, t, of, known, wait)
	if errors.Is(err, signaling.ErrClosed) && wait > 0 {
		return s.Store.Description(ctx, t, of, known, wait)
	}
	return d, v, err
}

// patient asks for the token of a read when the read begins, and not again while it waits.
type patient struct{ signaling.Store }

func (s patient) Candidates(ctx context.Context, t signaling.Ticket, of signaling.Side, after int, wait time.Duration) ([]signaling.Candidate, error) {
	if list, err := s.Store.Candidates(ctx, t, of, after, 0); wait <= 0 || len(list) > 0 || errors.Is(err, signaling.ErrTurnedDown) || errors.Is(err, signaling.ErrClosed) {
		return list, err
	}
	t.Token = ""
	return s.Store.Candidates(ctx, t, of, after, wait)
}

// stubborn takes one answer for each offer, also in the lobby.
type stubborn struct{ signaling.Store }

func (s stubborn) Answer(ctx context.Context, t signaling.Ticket, to signaling.Version, d signaling.Description) (signaling.Version, error) {
	if had, _, err := s.Description(ctx, signaling.Ticket{Room: t.Room}, signaling.Callee, "", 0); err == nil && string(had) != string(d) {
		return "", signaling.ErrAnswered
	}
	return s.Store.Answer(ctx, t, to, d)
}

// flattering tells every callee that its answer is the first.
type flattering struct{ signaling.Store }

func (s flattering) Answer(ctx context.Context, t signaling.Ticket, to signaling.Version, d signaling.Description) (signaling.Version, error) {
	v, err := s.Store.Answer(ctx, t, to, d)
	if errors.Is(err, signaling.ErrAnswered) {
		return signaling.Version(rand.Text()), nil
	}
	return v, err
}

type forgetful struct{ signaling.Store }

func (s forgetful) Offer(ctx context.Context, t signaling.Ticket, d signaling.Description) (signaling.Version, error) {
	if v, err := s.Reoffer(ctx, t, signaling.Description(string(d)+" ")); err == nil {
		return v, nil
	}
	return s.Store.Offer(ctx, t, d)
}

type trusting struct{ signaling.Store }

func (s trusting) Description(ctx context.Context, t signaling.Ticket, of signaling.Side, known signaling.Version, wait time.Duration) (signaling.Description, signaling.Version, error) {
	t.Token = ""
	return s.Store.Description(ctx, t, of, known, min(wait, time.Second))
}

type strict struct{ signaling.Store }

func (s strict) Candidates(ctx context.Context, t signaling.Ticket, of signaling.Side, after int, wait time.Duration) ([]signaling.Candidate, error) {
	if _, _, err := s.Description(ctx, t, signaling.Callee, "", 0); errors.Is(err, signaling.ErrClosed) || errors.Is(err, signaling.ErrTurnedDown) {
		return nil, err
	}
	return s.Store.Candidates(ctx, t, of, after, wait)
}

type careless struct{ signaling.Store }

func (s careless) Answer(ctx context.Context, t signaling.Ticket, _ signaling.Version, d signaling.Description) (signaling.Version, error) {
	return s.Store.Answer(ctx, t, "", d)
}

type doubling struct{ signaling.Store }

func (s doubling) AddCandidates(ctx context.Context, t signaling.Ticket, _ int, c ...signaling.Candidate) (int, error) {
	return s.Store.AddCandidates(ctx, t, -1, c...)
}

type hasty struct{ signaling.Store }

func (s hasty) Candidates(ctx context.Context, t signaling.Ticket, of signaling.Side, after int, wait time.Duration) ([]signaling.Candidate, error) {
	return s.Store.Candidates(ctx, t, of, after, min(wait, time.Second/2))
}

type muddled struct{ signaling.Store }

func (s muddled) Candidates(ctx context.Context, t signaling.Ticket, of signaling.Side, after int, wait time.Duration) ([]signaling.Candidate, error) {
	if t.Room == "two" {
		t.Room = "one"
	}
	return s.Store.Candidates(ctx, t, of, after, wait)
}

type tidy struct{ signaling.Store }

func (s tidy) Offer(ctx context.Context, t signaling.Ticket, d signaling.Description) (signaling.Version, error) {
	return s.Store.Offer(ctx, t, signaling.Description(strings.ReplaceAll(string(d), ", ", ",")))
}

// TestBrokenStores runs this program again with each broken Store, and expects it to fail.
func TestBrokenStores(t *testing.T) {
	const which = "STORETEST_BROKEN"
	if name := os.Getenv(which); name != "" {
		storetest.RunVirtual(t, func(_ *testing.T, limits storetest.Limits, observe func(signaling.Store) signaling.Store) signaling.Store {
			return broken[name].store(observe(memstore.New(memstore.Limits{Rooms: limits.Rooms, Candidates: limits.Candidates, ListBytes: limits.ListBytes})))
		})
		return
	}
	var wg sync.WaitGroup
	for name, row := range broken {
		wg.Go(func() {
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestBrokenStores$/"+row.sentence+"$", "-rapid.nofailfile", "-rapid.shrinktime=0", "-rapid.checks=5000") //nolint:gosec // this very binary
			cmd.Env = append(os.Environ(), which+"="+name)
			out, err := cmd.CombinedOutput()
			if err == nil || !strings.Contains(string(out), "--- FAIL: TestBrokenStores/"+row.sentence) {
				t.Errorf("a store that %s was not caught: %v\n%s", name, err, out)
			}
		})
	}
	wg.Wait()
}

// Each broken Mail breaks one sentence of the documentation of signaling.Mail.
var brokenMails = map[string]struct {
	sentence string
	mail     func(signaling.MailWatcher) signaling.Mail
}{
	"believes any token":  {"only_the_owner_of_a_token_may_put_or_take", func(m signaling.MailWatcher) signaling.Mail { return credulous{m} }},
	"puts a block twice":  {"a_repeated_block_changes_nothing,_and_its_number_is_taken", func(m signaling.MailWatcher) signaling.Mail { return renumbering{m} }},
	"deletes one more":    {"deleted_blocks_are_gone,_and_the_rest_is_not", func(m signaling.MailWatcher) signaling.Mail { return greedy{m} }},
	"ends a wait at once": {"a_waiting_read_returns_what_is_put", func(m signaling.MailWatcher) signaling.Mail { return restless{m} }},

	"believes the sender":    {model, func(m signaling.MailWatcher) signaling.Mail { return credulous{m} }},
	"numbers blocks itself":  {model, func(m signaling.MailWatcher) signaling.Mail { return renumbering{m} }},
	"deletes beyond a block": {model, func(m signaling.MailWatcher) signaling.Mail { return greedy{m} }},
}

type credulous struct{ signaling.MailWatcher }

func (m credulous) Blocks(ctx context.Context, b signaling.Box, after uint64, wait time.Duration) ([]signaling.Block, error) {
	list, err := m.MailWatcher.Blocks(ctx, b, after, wait)
	if errors.Is(err, signaling.ErrWrongToken) {
		err = nil
	}
	return list, err
}

type renumbering struct{ signaling.MailWatcher }

func (m renumbering) AddBlock(ctx context.Context, b signaling.Box, block signaling.Block) (time.Duration, error) {
	kept, err := m.MailWatcher.AddBlock(ctx, b, block)
	if errors.Is(err, signaling.ErrBlockExists) {
		block.Number += 100
		return m.MailWatcher.AddBlock(ctx, b, block)
	}
	return kept, err
}

type greedy struct{ signaling.MailWatcher }

func (m greedy) DeleteBlocks(ctx context.Context, b signaling.Box, through uint64) error {
	return m.MailWatcher.DeleteBlocks(ctx, b, min(through, signaling.MaxBlockNumber-1)+1)
}

type restless struct{ signaling.MailWatcher }

func (m restless) Blocks(ctx context.Context, b signaling.Box, after uint64, wait time.Duration) ([]signaling.Block, error) {
	return m.MailWatcher.Blocks(ctx, b, after, min(wait, 0))
}

// TestBrokenMails runs this program again with each broken Mail, and expects it to fail.
func TestBrokenMails(t *testing.T) {
	const which = "STORETEST_BROKEN_MAIL"
	if name := os.Getenv(which); name != "" {
		storetest.RunMailVirtual(t, func(_ *testing.T, limits storetest.MailLimits, observe func(signaling.MailWatcher) signaling.MailWatcher) signaling.Mail {
			return brokenMails[name].mail(observe(memstore.NewMail(memstore.MailLimits(limits))))
		})
		return
	}
	for name, row := range brokenMails {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestBrokenMails$/^"+row.sentence+"$", "-rapid.nofailfile", "-rapid.shrinktime=0", "-rapid.checks=5000") //nolint:gosec // this very binary
		cmd.Env = append(os.Environ(), which+"="+name)
		out, err := cmd.CombinedOutput()
		if err == nil || !strings.Contains(string(out), "--- FAIL: TestBrokenMails/"+row.sentence) {
			t.Errorf("a mail that %s was not caught: %v\n%s", name, err, out)
		}
	}
}
