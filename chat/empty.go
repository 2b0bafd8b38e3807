package chat

// LeaveEmpty leaves if Config.LeaveWhenSaid is set and nothing waits to be delivered or received: no
// input, no file, nothing from the Journal. It reports whether it left.
func (c *Conversation) LeaveEmpty() bool {
	empty := c.leavesAlone() && !c.transfers.Pending() && c.stream.Left() == 0
	if empty {
		c.Leave()
	}
	return empty
}

// Waiting returns how many messages of this side are not delivered.
func (c *Conversation) Waiting() int {
	return c.stream.Count(kindMessage)
}
