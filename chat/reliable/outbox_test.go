package reliable

import (
	"fmt"
	"slices"
	"testing"
)

const (
	testMessage Kind = 2
	testEnd     Kind = 3
)

// filled is an outbox of n messages of 2 bytes, of which sent have gone out.
func filled(n, sent int) *outbox {
	o := &outbox{}
	for i := range n {
		o.put(testMessage, fmt.Sprintf("%02d", i+1), 0)
	}
	for range sent {
		o.next(MaxBytes)
	}
	return o
}

func TestOutbox(t *testing.T) {
	t.Run("counts from 1, and hands out in order", func(t *testing.T) {
		o := filled(3, 0)
		if id := o.put(testEnd, "", 0); id != 4 {
			t.Errorf("the fourth is %d", id)
		}
		for seq := uint64(1); seq <= 4; seq++ {
			if f, ok := o.next(MaxBytes); !ok || f.Seq != seq {
				t.Errorf("next is %+v, not %d", f, seq)
			}
		}
		if f, ok := o.next(MaxBytes); ok {
			t.Errorf("then comes %+v", f)
		}
		if got := o.count(testMessage); got != 3 {
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
				seqs = append(seqs, f.Seq)
			}
			if !slices.Equal(seqs, test.delivered) {
				t.Errorf("delivered: %v, not %v", seqs, test.delivered)
			}
			if ok != test.ok || o.first() != test.first || o.bytes != test.bytes || o.count(testMessage) != test.bytes/2 {
				t.Errorf("ok %v, first %d, %d bytes, %d messages", ok, o.first(), o.bytes, o.count(testMessage))
			}
			if f, _ := o.next(MaxBytes); f.Seq != test.next {
				t.Errorf("next is %d, not %d", f.Seq, test.next)
			}
			if id := o.put(testMessage, "", 0); id != 7 {
				t.Errorf("the seventh is %d", id)
			}
		})
	}

	t.Run("rewound, everything that is left goes out again, as it was", func(t *testing.T) {
		o := filled(5, 4)
		o.ack(2)
		o.sent = 0
		for seq := uint64(3); seq <= 5; seq++ {
			if f, ok := o.next(MaxBytes); !ok || f.Seq != seq || f.Text != fmt.Sprintf("%02d", seq) {
				t.Errorf("next is %+v, not %d", f, seq)
			}
		}
	})

	t.Run("is full by number and by size", func(t *testing.T) {
		o := filled(MaxFrames-1, 0)
		if o.full() {
			t.Error("too early")
		}
		o.put(testEnd, "", 0)
		if !o.full() {
			t.Error("not by number")
		}
		o = &outbox{}
		o.put(testMessage, string(make([]byte, MaxBytes-1)), 0)
		if o.full() {
			t.Error("too early")
		}
		o.put(testMessage, "x", 0)
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
		if all[0].Text != "" || all[1].Text != "" || all[2].Text != "03" {
			t.Errorf("it holds %+v", all)
		}
	})
}
