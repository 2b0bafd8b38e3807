package signaling

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

var _ Mail = (*Client)(nil)

// AddBlock implements Mail.
func (c *Client) AddBlock(ctx context.Context, b Box, block Block) (time.Duration, error) {
	if err := firstError(b.CheckPut, block.Check); err != nil {
		return 0, err
	}
	body, err := json.Marshal(block)
	if err != nil {
		return 0, err
	}
	r, err := c.do(ctx, request{method: http.MethodPost, path: "/mail/" + b.Name, token: b.Credential(), header: c.key(), body: body})
	if err != nil {
		return 0, err
	}
	var kept struct{ Seconds *int64 }
	if json.Unmarshal(r.body, &kept) != nil || kept.Seconds == nil || *kept.Seconds < 0 || *kept.Seconds > int64(Forever/time.Second) {
		return 0, fmt.Errorf("%w: it did not say how long it keeps the block", ErrForeign)
	}
	return time.Duration(*kept.Seconds) * time.Second, nil
}

// Blocks implements Mail. What a malicious server may return besides is for the caller to notice.
func (c *Client) Blocks(ctx context.Context, b Box, after uint64, wait time.Duration) ([]Block, error) {
	if err := b.CheckTake(); err != nil {
		return nil, err
	}
	r, err := c.poll(ctx, request{path: "/mail/" + b.Name + "?after=" + strconv.FormatUint(after, 10), token: b.Credential()}, wait, func(r reply, err error) bool {
		return err == nil && isEmptyList(r.body)
	})
	if err != nil {
		return nil, err
	}
	var list []Block
	if json.Unmarshal(r.body, &list) != nil || list == nil {
		return nil, fmt.Errorf("%w: it did not list blocks", ErrForeign)
	}
	for _, one := range list {
		if err := one.Check(); err != nil {
			return nil, foreign(err)
		}
	}
	return list, nil
}

// DeleteBlocks implements Mail.
func (c *Client) DeleteBlocks(ctx context.Context, b Box, through uint64) error {
	if err := b.CheckTake(); err != nil {
		return err
	}
	_, err := c.do(ctx, request{method: http.MethodDelete, path: "/mail/" + b.Name + "?through=" + strconv.FormatUint(through, 10), token: b.Credential()})
	return err
}

// firstError returns the first error of some checks.
func firstError(checks ...func() error) error {
	for _, check := range checks {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}
