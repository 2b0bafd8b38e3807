package chat

// The outbox keeps what the other side has not acknowledged yet, in order: frames
// with a seq, of which the first sent ones have gone out on the pipe of the moment.
type outbox struct {
	frames []frame
	sent   int
	bytes  int    // of text
	last   uint64 // seq of the newest frame that was ever put in
}

// What it holds at most before Say waits.
const (
	outboxFrames = 4096
	outboxBytes  = 4 << 20
)

func (o *outbox) full() bool { return len(o.frames) >= outboxFrames || o.bytes >= outboxBytes }

func (o *outbox) put(k kind, text string) uint64 {
	o.last++
	o.frames = append(o.frames, frame{kind: k, seq: o.last, text: text})
	o.bytes += len(text)
	return o.last
}

// first is the lowest seq that may still be sent.
func (o *outbox) first() uint64 { return o.last + 1 - uint64(len(o.frames)) }

// next is the next frame to go out on the pipe of the moment.
func (o *outbox) next() (frame, bool) {
	if o.sent == len(o.frames) {
		return frame{}, false
	}
	o.sent++
	return o.frames[o.sent-1], true
}

// nextKind is the kind of the next frame, or 0.
func (o *outbox) nextKind() kind {
	if o.sent == len(o.frames) {
		return 0
	}
	return o.frames[o.sent].kind
}

// rewind makes everything go out again: on a new pipe.
func (o *outbox) rewind() { o.sent = 0 }

// ack drops what was acknowledged, up to seq, and returns it without its texts; ok is false for a seq
// that was never put in.
func (o *outbox) ack(seq uint64) (delivered []frame, ok bool) {
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
		o.bytes -= len(f.text)
		delivered[i].text = "" // the array lives on
	}
	return delivered, true
}

// messages counts what was said and not acknowledged.
func (o *outbox) messages() (n int) {
	for _, f := range o.frames {
		if f.kind == kindMessage {
			n++
		}
	}
	return n
}
