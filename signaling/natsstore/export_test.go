package natsstore

// StopFeed unsubscribes the store from the feed, until StartFeed.
func (s *Store) StopFeed() error { return s.sub.Unsubscribe() }

// StartFeed undoes StopFeed.
func (s *Store) StartFeed() error {
	if err := s.subscribe(); err != nil {
		return err
	}
	return s.conn.Flush()
}
