package bench

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"math"
	"time"
)

// The first byte of each message of a measurement; docs/architecture.md has the table.
const (
	kindHello  = 1  // JSON, see hello: as in a conversation, so that each program can tell the other one's purpose
	kindPing   = 32 // 8 bytes, which the other side returns
	kindPong   = 33 // those bytes
	kindReport = 34 // JSON, see report: what has arrived of the data
	kindEnd    = 35 // this side has finished
)

// maxFrame bounds what is read of a message, in bytes.
const maxFrame = 4 << 10

// A hello says what a side measures. A conversation's has no purpose.
type hello struct {
	Purpose string  `json:"purpose"`
	Seconds float64 `json:"seconds"` // the least of both sides counts
	Bytes   int64   `json:"bytes"`   // like this
}

// A report is the receiving side's, of a Flow.
type report struct {
	Flow
	Last bool `json:"last"`
}

// say sends a message.
func (m *run) say(ctx context.Context, kind byte, body []byte) error {
	m.sending.Lock()
	defer m.sending.Unlock()
	return m.link.Send(ctx, append([]byte{kind}, body...))
}

func (m *run) sayJSON(ctx context.Context, kind byte, body any) error {
	b, err := json.Marshal(body)
	if err != nil {
		return err
	}
	return m.say(ctx, kind, b)
}

func (m *run) report(ctx context.Context, f Flow) error {
	return m.sayJSON(ctx, kindReport, report{f, f.Last})
}

// greet exchanges hellos, and agrees on the time and the bytes.
func (m *run) greet(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, greetLimit, ErrSilent)
	defer cancel()
	if err := m.sayJSON(ctx, kindHello, hello{m.purpose(), m.Duration.Seconds(), m.MaxBytes}); err != nil {
		return err
	}
	b, err := m.link.Recv(ctx)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, io.EOF): // a conversation leaves at once when it reads the hello
		return ErrSilent
	case err != nil:
		return err
	}
	h := hello{}
	if len(b) == 0 || len(b) > maxFrame || b[0] != kindHello || json.Unmarshal(b[1:], &h) != nil {
		return ErrSilent
	}
	if h.Purpose != m.purpose() {
		_ = m.link.Flush(ctx) // so that the other side learns it, too
		if h.Purpose == "" {
			return ErrConversation
		}
		return ErrOther
	}
	m.Duration = min(m.Duration, seconds(h.Seconds))
	m.MaxBytes = min(m.MaxBytes, max(h.Bytes, 0))
	return nil
}

// purpose is that of the hello.
func (m *run) purpose() string { return "bench " + m.Kind }

// seconds returns n seconds, 0 if that is no duration.
func seconds(n float64) time.Duration {
	if !(0 < n && n < math.MaxInt32) {
		return 0
	}
	return time.Duration(n * float64(time.Second))
}

// receive handles the other side's messages until it has finished, and drops what makes no sense.
func (m *run) receive(ctx context.Context) error {
	for {
		b, err := m.link.Recv(ctx)
		switch {
		case err != nil:
			return unless(ctx, err) // an error changes nothing once ctx has ended
		case len(b) == 0 || len(b) > maxFrame:
			continue
		}
		switch body := b[1:]; b[0] {
		case kindPing:
			if err := m.say(ctx, kindPong, body[:min(len(body), 8)]); err != nil {
				return unless(ctx, err)
			}
		case kindPong:
			if len(body) == 8 {
				select {
				case m.pongs <- binary.BigEndian.Uint64(body):
				default: // nothing waits for it
				}
			}
		case kindReport:
			m.noteReport(body)
		case kindEnd:
			close(m.ended)
			return nil
		}
	}
}

// noteReport shows the other side's report of what it has received, and passes the last one on.
func (m *run) noteReport(body []byte) {
	r := report{}
	if json.Unmarshal(body, &r) != nil || m.reported {
		return
	}
	if now := time.Now(); !r.Last && now.Sub(m.shown) > reportEvery/2 { // however many it sends; the result has the last one
		m.shown = now
		m.progress("sent %s at %.3g MB/s", megabytes(r.Bytes), r.Speed)
	}
	if r.Last {
		m.reported = true
		m.last <- r.Flow
	}
}
