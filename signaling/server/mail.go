package server

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"p2pchat/signaling"
	"p2pchat/signaling/internal/ratelimit"
)

// MailConfig says whether a server keeps mailboxes.
type MailConfig struct {
	Boxes signaling.MailWatcher // nil: the server keeps no mail
	// ClientBytes is how many bytes of blocks one client may put within Life, which is how long Boxes keeps a
	// block: so the blocks of one client take twice as much at most. No limit if zero.
	ClientBytes int
	Life        time.Duration
	// Free returns the share of the bytes of all boxes, from 0 to 1, that other clients have left to one that has put own bytes. A block's size
	// is divided by the square of that share before it counts towards ClientBytes, so that many clients that put all they can leave
	// bytes for others. If Free is nil, its size counts.
	Free func(own int) float64
}

// cost returns how many of its client's bytes a block counts for: no more than a client that has put nothing has. The client has put
// own bytes within Life.
func (m MailConfig) cost(b signaling.Block, own int) int {
	size := len(b.Bytes)
	if m.Free == nil || m.ClientBytes < size {
		return size
	}
	free := m.Free(own)
	if free <= 0 {
		return size // the boxes are full and refuse it
	}
	return int(min(float64(size)/(free*free), float64(m.ClientBytes)))
}

// limiter returns the limit of the bytes that each client puts.
func (m MailConfig) limiter() *ratelimit.Limiter[netip.Addr] {
	if m.ClientBytes == 0 {
		return nil
	}
	return ratelimit.New[netip.Addr](float64(m.ClientBytes)/m.Life.Seconds(), m.ClientBytes, clientBounds)
}

// box returns the mailbox of a request, and its token.
func (s *Server) box(c echo.Context) (signaling.Box, error) {
	if s.mail == nil {
		return signaling.Box{}, signaling.ErrMailOff
	}
	return signaling.ParseBox(c.Param("box"), bearer(c.Request().Header.Get("Authorization")))
}

func (s *Server) postBlock(c echo.Context) error {
	b, err := s.box(c)
	if err != nil {
		return err
	}
	body, err := s.readBody(c)
	if err != nil {
		return err
	}
	var block signaling.Block
	if err := json.Unmarshal(body, &block); err != nil {
		return fmt.Errorf("%w: the body is not a block in JSON", signaling.ErrInvalid)
	}
	if err := b.CheckPut(); err != nil {
		return err
	}
	client := ratelimit.Client(infoOf(c).client)
	if !s.rates.mail.AllowN(client, s.config.Mail.cost(block, s.rates.put.Taken(client))) {
		return signaling.ErrClientMail
	}
	kept, err := s.mail.AddBlock(c.Request().Context(), b, block)
	if err != nil {
		return err
	}
	s.rates.put.AllowN(client, len(block.Bytes)) // it has as many: a block never costs less
	return writeJSON(c, http.StatusCreated, append(strconv.AppendInt([]byte(`{"seconds":`), int64(kept/time.Second), 10), "}\n"...))
}

func (s *Server) getBlocks(c echo.Context) error {
	b, err := s.box(c)
	if err != nil {
		return err
	}
	after, err := index(c, "after", 0)
	if err != nil {
		return err
	}
	watch := func(wake func(error)) (stop func()) { return s.mail.WatchBox(b.Name, wake) }
	return s.await(c, awaited{watch: watch}, func(ctx context.Context, wait time.Duration) (func() error, error) {
		list, err := s.mail.Blocks(ctx, b, uint64(after), wait) //nolint:gosec // index returns no negative number
		if err != nil {
			return nil, err
		}
		if len(list) == 0 {
			list, err = []signaling.Block{}, signaling.ErrUnchanged
		}
		return func() error { return c.JSON(http.StatusOK, list) }, err
	})
}

func (s *Server) deleteBlocks(c echo.Context) error {
	b, err := s.box(c)
	if err != nil {
		return err
	}
	through, err := index(c, "through", -1)
	if err != nil {
		return err
	}
	if through < 0 {
		return fmt.Errorf("%w: the query's \"through\" must say up to which block", signaling.ErrInvalid)
	}
	if err := s.mail.DeleteBlocks(c.Request().Context(), b, uint64(through)); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

// An instrumentedMail counts and traces the operations of another Mail.
type instrumentedMail struct {
	signaling.MailWatcher
	store instrumentedStore // its metrics
}

// mailOperations are the values of the label operation for mail.
var mailOperations = []string{"add_block", "read_blocks", "delete_blocks"}

func (m instrumentedMail) AddBlock(ctx context.Context, b signaling.Box, block signaling.Block) (time.Duration, error) {
	o := begin(ctx, "add_block")
	kept, err := m.MailWatcher.AddBlock(ctx, b, block)
	m.store.end(o, "", 0, err)
	return kept, err
}

func (m instrumentedMail) Blocks(ctx context.Context, b signaling.Box, after uint64, wait time.Duration) ([]signaling.Block, error) {
	o := begin(ctx, "read_blocks")
	list, err := m.MailWatcher.Blocks(ctx, b, after, wait)
	m.store.end(o, "", wait, err)
	return list, err
}

func (m instrumentedMail) DeleteBlocks(ctx context.Context, b signaling.Box, through uint64) error {
	o := begin(ctx, "delete_blocks")
	err := m.MailWatcher.DeleteBlocks(ctx, b, through)
	m.store.end(o, "", 0, err)
	return err
}
