package chat

// wordsDiffer is the text of a goodbye whose sender found that the safety words differ.
const wordsDiffer = "words-differ"

// LeaveOverheard is Leave, and tells the other side that the safety words differ.
func (c *Conversation) LeaveOverheard() {
	c.mu.Lock()
	c.goodbyeText = wordsDiffer
	c.mu.Unlock()
	c.Leave()
}
