package transfer

import (
	"context"
	"errors"
	"testing"

	"p2pchat/chat/internal/chattest"
)

// A file that has to get through, and is ready only when Close has emptied the queue, counts as missed.
func TestOfferedAfterClose(t *testing.T) {
	for name, prepare := range map[string]func(m *Manager){
		"with room":    func(*Manager) {},
		"without room": func(m *Manager) { m.queue = make([]queued, 1) },
	} {
		t.Run(name, func(t *testing.T) {
			m := New(Config{}, &fakeHost{}, "ours", "", nil)
			m.Leave()
			m.Close("the conversation has ended", false, false)
			m.leaving.Store(false) // as the sender read it before Leave
			prepare(m)
			paths := []string{chattest.Create(t, "a", []byte("a")), chattest.Create(t, "b", []byte("b"))}
			if _, err := m.SendFiles(context.Background(), true, paths); !errors.Is(err, ErrOver) {
				t.Errorf("SendFiles returns %v", err)
			}
			if m.Missed() != 2 || len(m.out) != 0 {
				t.Errorf("%d are missed, %d offered", m.Missed(), len(m.out))
			}
		})
	}
}

// Close waits for a file that Send refuses, so that it is counted whether it goes back to the queue or not.
func TestClosedWhileOffering(t *testing.T) {
	for _, refusal := range []error{ErrFull, ErrOver} {
		h, offering, refuse := &fakeHost{}, make(chan struct{}), make(chan struct{})
		m := New(Config{}, h, "ours", "", nil)
		h.fails = func(Kind) error {
			close(offering)
			<-refuse
			return refusal
		}
		path := chattest.Create(t, "a", []byte("a"))
		sent, closed := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(sent)
			_, _ = m.SendFiles(context.Background(), true, []string{path}) // nil, or ErrOver
		}()
		<-offering
		m.Leave()
		go func() {
			defer close(closed)
			m.Close("the conversation has ended", false, false)
		}()
		close(refuse)
		<-closed
		if n := m.Missed(); n != 1 {
			t.Errorf("%v: %d are missed", refusal, n)
		}
		<-sent
		if m.Pending() {
			t.Errorf("%v: something is pending", refusal)
		}
	}
}
