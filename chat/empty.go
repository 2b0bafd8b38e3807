package chat

// LeaveEmpty leaves if Config.LeaveWhenSaid asks for that once all is delivered, and nothing is to be
// delivered or received: nothing of the input, no file, nothing from the Journal. It reports whether
// it left.
func (c *Conversation) LeaveEmpty() bool {
	empty := c.leavesAlone() && !c.transfers.Pending() && c.stream.Left() == 0
	if empty {
		c.Leave()
	}
	return empty
}

// Waiting returns how many messages of this side are not delivered yet.
func (c *Conversation) Waiting() int {
	return c.stream.Count(kindMessage)
}
