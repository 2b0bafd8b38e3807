package chat

// LeaveEmpty leaves if Config.LeaveWhenSaid asks for that once all is delivered, and nothing is to be
// delivered or received: nothing of the input, no file, nothing from the Journal. It reports whether
// it left.
func (c *Conversation) LeaveEmpty() bool {
	c.mu.Lock()
	empty := c.leavesAlone() && len(c.out.frames) == 0 && !c.transfers.Pending()
	c.mu.Unlock()
	if empty {
		c.Leave()
	}
	return empty
}

// Waiting returns how many messages of this side are not delivered yet.
func (c *Conversation) Waiting() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out.messages()
}
