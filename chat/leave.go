package chat

// Leave says goodbye once all messages have gone out, and ends Run. It does not wait.
func (c *Conversation) Leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !isClosed(c.quit) {
		close(c.quit)
	}
	c.beginLeave()
}

// beginLeave, under mu, begins to leave.
func (c *Conversation) beginLeave() {
	if !c.life.move(ours, leaving) {
		return
	}
	c.transfers.Leave()
	close(c.parting)
	c.wakeSender()
}

// leaveAgain makes a side that has said goodbye on a pipe that was replaced say it on the next one: the other side may not have
// read it.
func (c *Conversation) leaveAgain() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.life.unsay()
	c.repeats = c.life.past(theirs, goodbye)
}

// wordsDiffer is the text of a goodbye whose sender found that the safety words differ.
const wordsDiffer = "words-differ"

// LeaveOverheard is Leave, and tells the other side that the safety words differ.
func (c *Conversation) LeaveOverheard() {
	c.mu.Lock()
	c.goodbyeText = wordsDiffer
	c.mu.Unlock()
	c.Leave()
}

// LeaveEmpty leaves if Config.LeaveWhenSaid is set and nothing waits to be delivered or received: no
// input, no file, nothing from the Journal. It reports whether it left.
func (c *Conversation) LeaveEmpty() bool {
	empty := c.leavesAlone() && !c.transfers.Pending() && c.stream.Status().Left == 0
	if empty {
		c.Leave()
	}
	return empty
}

// Waiting returns how many messages of this side are not delivered.
func (c *Conversation) Waiting() int {
	return c.stream.Count(kindMessage)
}

// leavesAlone reports whether this side leaves without waiting for the end of the other side's input.
func (c *Conversation) leavesAlone() bool {
	return c.config.LeaveWhenSaid && (!c.config.AcceptFiles || c.transfers.Settled())
}

// parted reports, under mu, whether the other side has left, and the reader knows, or has stopped.
func (c *Conversation) parted() bool {
	return c.life.is(theirs, over) || c.life.is(theirs, goodbye) && isClosed(c.deaf)
}
