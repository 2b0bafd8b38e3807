package chat

import (
	"sync"
	"testing"
)

// A contact may seal anything into a letter. What it holds is shown in order, each number once, however often the letters come.
func FuzzLetters(f *testing.F) {
	f.Add([]byte(`{"conversation":"x","first":1,"frames":[{"seq":1,"text":"one"},{"seq":2,"text":"two","part":true}]}`), []byte(`{"conversation":"x","first":2,"of":"y","heard":7,"frames":[{"seq":3,"text":"three"}]}`))
	f.Add([]byte(`{"conversation":"x","first":18446744073709551615,"frames":[{"seq":18446744073709551615,"text":""}]}`), []byte(`{"conversation":"y","frames":[{"seq":0,"text":"\ud800"}]}`))
	f.Fuzz(func(t *testing.T, one, two []byte) {
		c := New(Config{Contact: "ben"})
		var shown []Message
		var wg sync.WaitGroup
		wg.Go(func() {
			for e := range c.Events() {
				if m, ok := e.(Message); ok {
					shown = append(shown, m)
				}
			}
		})
		if _, err := c.Say(t.Context(), "not delivered"); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			for _, text := range [][]byte{one, two} {
				_, _ = c.Open(text) // or it is refused
			}
		}
		if err := c.Settle(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.Close()
		wg.Wait()
		for i, m := range shown {
			if i > 0 && m.ID != shown[i-1].ID+1 && m.ID > shown[i-1].ID {
				t.Errorf("message %d comes after %d", m.ID, shown[i-1].ID)
			}
		}
		if letter, err := c.Letter(0, 64<<10, true); err != nil || letter.Text == nil {
			t.Errorf("no letter can be left then: %v", err)
		}
	})
}
