package chat

import "context"

// Start begins a conversation, and runs it in a goroutine of its own until it ends: see [Conversation.Run] for
// next. Events then end by themselves. Leave, or the end of ctx, ends the conversation early. Wait waits for the goroutine.
func Start(ctx context.Context, config Config, next func(context.Context) (Link, error)) *Conversation {
	c := New(config)
	c.ran = make(chan struct{})
	go func() {
		defer close(c.ran)
		c.runErr = c.Run(ctx, next)
		c.Close()
	}()
	return c
}

// Wait waits for the end of a conversation that Start began, and returns the error of Run. Events must be
// read to their end before, or by another goroutine. Without Start it panics.
func (c *Conversation) Wait() error {
	if c.ran == nil {
		panic("chat: Wait of a conversation that Start did not begin")
	}
	<-c.ran
	return c.runErr
}
