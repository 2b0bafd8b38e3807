package natsstore

// Deafen keeps the store from hearing of what is written, until Listen.
func (s *Store) Deafen() error { return s.sub.Unsubscribe() }

// Listen undoes Deafen.
func (s *Store) Listen() error {
	if err := s.subscribe(); err != nil {
		return err
	}
	return s.conn.Flush()
}
