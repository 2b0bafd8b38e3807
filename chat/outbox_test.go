package chat

import (
	"fmt"
	"testing"
)

// filled is an outbox of n messages of 2 bytes, of which sent have gone out.
func filled(n, sent int) *outbox {
	o := &outbox{}
	for i := range n {
		o.put(kindMessage, fmt.Sprintf("%02d", i+1))
	}
	for range sent {
		o.next()
	}
	return o
}

func TestOutbox(t *testing.T) {
	t.Run("counts from 1, and hands out in order", func(t *testing.T) {
		o := filled(3, 0)
		if id := o.put(kindEnd, ""); id != 4 {
			t.Errorf("the fourth is %d", id)
		}
		for seq := uint64(1); seq <= 4; seq++ {
			if f, ok := o.next(); !ok || f.seq != seq {
				t.Errorf("next is %+v, not %d", f, seq)
			}
		}
		if f, ok := o.next(); ok {
			t.Errorf("then comes %+v", f)
		}
		if got := o.messages(); got != 3 {
			t.Errorf("it has %d messages", got)
		}
	})

	for name, test := range map[string]struct {
		ack       uint64
		delivered []uint64
		ok        bool
		first     uint64 // then
		next      uint64 // 0 for none
		bytes     int
	}{
		"part of what was sent":  {3, []uint64{2, 3}, true, 4, 5, 6},
		"all that was sent":      {4, []uint64{2, 3, 4}, true, 5, 5, 4},
		"what is yet to be sent": {5, []uint64{2, 3, 4, 5}, true, 6, 6, 2},
		"everything":             {6, []uint64{2, 3, 4, 5, 6}, true, 7, 0, 0},
		"what was acknowledged":  {1, nil, true, 2, 5, 10},
		"nothing":                {0, nil, true, 2, 5, 10},
		"what was never said":    {7, nil, false, 2, 5, 10},
		"the highest number":     {1<<64 - 1, nil, false, 2, 5, 10},
	} {
		t.Run("acknowledging "+name, func(t *testing.T) {
			o := filled(6, 4)
			o.ack(1)
			frames, ok := o.ack(test.ack)
			var seqs []uint64
			for _, f := range frames {
				seqs = append(seqs, f.seq)
			}
			equal(t, "delivered", seqs, test.delivered)
			if ok != test.ok || o.first() != test.first || o.bytes != test.bytes || o.messages() != test.bytes/2 {
				t.Errorf("ok %v, first %d, %d bytes, %d messages", ok, o.first(), o.bytes, o.messages())
			}
			if f, _ := o.next(); f.seq != test.next {
				t.Errorf("next is %d, not %d", f.seq, test.next)
			}
			if id := o.put(kindMessage, ""); id != 7 {
				t.Errorf("the seventh is %d", id)
			}
		})
	}

	t.Run("rewound, everything that is left goes out again, as it was", func(t *testing.T) {
		o := filled(5, 4)
		o.ack(2)
		o.rewind()
		for seq := uint64(3); seq <= 5; seq++ {
			if f, ok := o.next(); !ok || f.seq != seq || f.text != fmt.Sprintf("%02d", seq) {
				t.Errorf("next is %+v, not %d", f, seq)
			}
		}
	})

	t.Run("is full by number and by size", func(t *testing.T) {
		o := filled(outboxFrames-1, 0)
		if o.full() {
			t.Error("too early")
		}
		o.put(kindEnd, "")
		if !o.full() {
			t.Error("not by number")
		}
		o = &outbox{}
		o.put(kindMessage, string(make([]byte, outboxBytes-1)))
		if o.full() {
			t.Error("too early")
		}
		o.put(kindMessage, "x")
		if !o.full() {
			t.Error("not by size")
		}
		o.ack(2)
		if o.full() {
			t.Error("still")
		}
	})

	t.Run("holds on to no text that was acknowledged", func(t *testing.T) {
		o := filled(3, 3)
		all := o.frames
		o.ack(2)
		if all[0].text != "" || all[1].text != "" || all[2].text != "03" {
			t.Errorf("it holds %+v", all)
		}
	})
}
