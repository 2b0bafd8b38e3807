package reliable

// An outbox holds what the other side has not acknowledged yet, in order: the first sent frames have
// gone out on the current pipe.
type outbox struct {
	frames []Frame
	sent   int
	bytes  int    // of text
	last   uint64 // the number of the newest frame that was ever put in
}

// The most that an outbox holds before it is full.
const (
	MaxFrames = 4096
	MaxBytes  = 4 << 20
)

func (o *outbox) full() bool { return len(o.frames) >= MaxFrames || o.bytes >= MaxBytes }

func (o *outbox) put(k Kind, text string, at int64) uint64 {
	o.last++
	o.frames = append(o.frames, Frame{Kind: k, Seq: o.last, Text: text, At: at})
	o.bytes += len(text)
	return o.last
}

// first returns the lowest number that may still be sent.
func (o *outbox) first() uint64 { return o.last + 1 - uint64(len(o.frames)) }

// next returns the next frame to go out on the current pipe, if it has at most limit bytes of text.
func (o *outbox) next(limit int) (Frame, bool) {
	if o.sent == len(o.frames) || len(o.frames[o.sent].Text) > limit {
		return Frame{}, false
	}
	o.sent++
	return o.frames[o.sent-1], true
}

// nextKind returns the kind of the next frame, or 0.
func (o *outbox) nextKind() Kind {
	if o.sent == len(o.frames) {
		return 0
	}
	return o.frames[o.sent].Kind
}

// ack drops what was acknowledged, up to seq, and returns it without its texts. It returns false for a number
// that was never put in.
func (o *outbox) ack(seq uint64) (delivered []Frame, ok bool) {
	if seq > o.last {
		return nil, false
	}
	if seq < o.first() {
		return nil, true
	}
	n := int(seq - o.first() + 1) //nolint:gosec // at most len(o.frames)
	delivered, o.frames = o.frames[:n:n], o.frames[n:]
	o.sent = max(0, o.sent-n)
	for i, f := range delivered {
		o.bytes -= len(f.Text)
		delivered[i].Text = "" // the array lives on
	}
	return delivered, true
}

// replace makes another frame of each of a kind, with the same number.
func (o *outbox) replace(k, by Kind, text string) {
	for i := range o.frames {
		if f := &o.frames[i]; f.Kind == k {
			o.bytes += len(text) - len(f.Text)
			f.Kind, f.Text = by, text
		}
	}
}

// count returns how many frames of a kind are not acknowledged.
func (o *outbox) count(k Kind) (n int) {
	for _, f := range o.frames {
		if f.Kind == k {
			n++
		}
	}
	return n
}
